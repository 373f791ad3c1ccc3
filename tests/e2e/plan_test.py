"""Plans, writers that meet, answers that are lost, and the timeline that tells of all of it."""
import json
import re
import subprocess
import unittest

from pando_cluster import BIN, CONFLICT, ERROR, PENDING, ClusterTest, hello
from processes import wait_until
from relay import Relay


class PlanTest(ClusterTest):
    """A controller alone: what is wanted needs no node."""

    def setUp(self):
        super().setUp()
        self.cluster.start_controller()

    def write(self, yaml, name='app.yaml'):
        (self.cluster.dir / name).write_text(yaml, encoding='utf-8')
        return name

    def apply_detached(self, yaml, *flags, expect=0):
        return self.cluster.ctl('apply', '--detach', '-f', self.write(yaml), *flags, expect=expect)

    def plan(self, yaml, *flags, expect=0):
        return self.cluster.ctl('plan', '-f', self.write(yaml), *flags, expect=expect).stdout

    def test_a_plan_tells_what_apply_then_does(self):
        cluster = self.cluster
        new = self.plan(hello(2), '--exit-code', expect=PENDING)
        self.assertIn('hello: new, r1  replicas 2\n  starts 2 instances\n1 app to change\n', new)
        self.assertEqual(cluster.ask('ps'), [])
        self.apply_detached(hello(2))
        self.assertIn('hello: r1 unchanged  replicas 2\nnothing to change\n',
                      self.plan(hello(2), '--exit-code'))

        cluster.ctl('scale', 'hello', 8, '--detach')
        changed = hello(2, env={'LEVEL': 'debug'}) + '---\nkind: Gateway\nname: edge\nport: 8181\n'
        planned = self.plan(changed, '--exit-code', expect=PENDING)
        self.assertIn('hello: r1 -> r2  replicas 8 (kept: set by scale, spec says 2)\n'
                      '  + env.LEVEL: debug\n'
                      '  replaces 8 instances', planned)
        self.assertIn('gateway edge: new\n', planned)
        self.assertIn('1 app, 1 gateway to change\n', planned)
        document = json.loads(self.plan(changed, '-o', 'json'))
        self.assertTrue(document['pending'])
        self.assertEqual(document['apps'][0]['changes'],
                         [{'field': 'env.LEVEL', 'old_value': '', 'new_value': 'debug'}])
        self.assertEqual(cluster.app()['revision'], 1)
        applied = self.apply_detached(changed).stdout
        self.assertIn('  + env.LEVEL: debug\n  replaces 8 instances', applied)
        self.assertEqual(cluster.app()['revision'], 2)

        # Two files are one apply: the second is bad, and the first is not done either.
        self.write('name: api\ncommand: [x]\nroute: {hosts: [api.org]}\n', 'a.yaml')
        self.write('name: web\ncommand: [x]\n', 'b.yaml')
        refused = cluster.ctl('apply', '--detach', '-f', 'a.yaml', '-f', 'b.yaml', expect=ERROR)
        self.assertIn('b.yaml:1: route: hello and web both claim host * path /', refused.stderr)
        self.assertNotIn('api', cluster.ctl('status').stdout)

    def test_the_second_of_two_writers_is_told_what_the_first_did(self):
        cluster = self.cluster
        self.apply_detached(hello(2))
        planned = json.loads(self.plan(hello(2, env={'A': '1'}), '-o', 'json'))
        generation = planned['apps'][0]['old_generation']
        cluster.ctl('scale', 'hello', '+3', '--detach')
        lost = self.apply_detached(hello(2, env={'A': '1'}), '--if-generation', generation,
                                   expect=CONFLICT).stderr
        who = r'[^\s@]+@\S+'
        self.assertRegex(lost, r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC scaled: replicas 2 -> 5, '
                               rf'by {who}')
        cluster.ctl('scale', 'hello', 9, '--if-generation', generation, '--detach', expect=CONFLICT)
        self.assertEqual((cluster.app()['revision'], cluster.app()['replicas']), (1, 5))
        cluster.ctl('scale', 'hello', 9, '--detach')
        self.assertEqual(cluster.app()['replicas'], 9)

        told = [f'{event["kind"]}: {event["message"]}' for event in cluster.events('hello')]
        self.assertTrue(any(re.fullmatch(rf'applied: .*, by {who}', line) for line in told), told)
        self.assertTrue(any(re.fullmatch(rf'scaled: replicas 5 -> 9, by {who}', line)
                            for line in told), told)
        self.assertIn('scaled', cluster.ctl('events', '--since', '1h').stdout)

    def test_a_request_whose_answer_is_lost_is_done_once(self):
        cluster = self.cluster
        self.apply_detached(hello(2))
        host, _, port = cluster.controller_address.rpartition(':')
        relay = Relay(host, int(port), b'/pando.v1.Admin/Scale')
        self.addCleanup(relay.close)
        scale = subprocess.Popen(
            [str(BIN / 'ctl'), '--controller', relay.address, '--timeout', '60s', 'scale', 'hello',
             '+2', '--detach'], env=cluster.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(scale.stdout.close)
        self.addCleanup(scale.stderr.close)
        self.addCleanup(scale.kill)
        self.assertTrue(relay.holding.wait(60), 'the request went over the wire')
        wait_until(lambda: cluster.app()['replicas'] == 4, 60, 'the request was carried out')
        # Kept by the store, not by this process.
        cluster['controller'].kill()
        cluster.start('controller')
        cluster.wait_for_controller()
        self.assertIsNone(scale.poll(), 'ctl waits for its answer')
        relay.cut()
        out, err = scale.communicate(timeout=60)
        self.assertEqual((scale.returncode, out), (0, 'hello 2 -> 4  accepted\n'), err)
        self.assertEqual(cluster.app()['replicas'], 4)
        scaled = [event for event in cluster.events('hello') if event['kind'] == 'scaled']
        self.assertEqual(len(scaled), 1, scaled)


if __name__ == '__main__':
    unittest.main()
