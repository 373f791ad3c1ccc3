"""From a spec to an app that answers, and what ctl tells about it."""
import json
import unittest

from pando_cluster import NOT_FOUND, ClusterTest, hello
from processes import wait_until


class DeployTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all()

    def test_apply_returns_when_the_app_answers(self):
        self.cluster.apply(hello(env={'GREETING': 'hi'}))
        status, _, body = self.cluster.get('/')
        self.assertEqual((status, body), (200, 'hello\n'))
        me = json.loads(self.cluster.get('/whoami')[2])
        self.assertEqual((me['instance'], me['revision'], me['node']), ('hello.1', '1', 'node-1'))
        self.assertEqual(self.cluster.pids(), {'hello.1': me['pid']})
        self.assertEqual(self.cluster.processes(), {me['pid']: 'hello.1'})

    def test_an_unchanged_spec_changes_nothing(self):
        self.cluster.apply(hello(2))
        before = self.cluster.pids()
        again = self.cluster.apply(hello(2))
        self.assertIn('unchanged', again.stdout)
        self.assertEqual(self.cluster.pids(), before)
        self.assertEqual(self.cluster.app()['revision'], 1)

    def test_stop_start_restart_and_rm(self):
        self.cluster.apply(hello(2))
        self.cluster.ctl('stop', 'hello')
        wait_until(lambda: not self.cluster.processes(), 20, 'all instances are stopped')
        self.cluster.ctl('start', 'hello')
        first = self.cluster.pids()
        self.assertEqual(len(first), 2)
        self.cluster.ctl('restart', 'hello')
        wait_until(lambda: len(self.cluster.processes()) == 2, 20, 'the old ones are gone')
        self.assertFalse(set(first.values()) & set(self.cluster.processes()))
        self.cluster.ctl('rm', 'hello', '-y')
        wait_until(lambda: not self.cluster.processes(), 20, 'all instances are gone')
        self.cluster.ctl('scale', 'hello', '--replicas', 1, expect=NOT_FOUND)

    def test_nothing_ready_is_503_and_no_route_is_404(self):
        self.cluster.apply(hello(1, extra='route: {hosts: [hello.test], path: /}'))
        named = {'Host': 'hello.test'}
        self.assertEqual(self.cluster.get('/', headers=named)[0], 200)
        self.assertEqual(self.cluster.get('/', headers={'Host': 'other.test'})[0], 404)
        self.cluster.ctl('stop', 'hello')
        status, headers, body = self.cluster.get('/', headers=named)
        self.assertEqual(status, 503)
        self.assertGreaterEqual(int(headers['Retry-After']), 1)
        self.assertTrue(0 < len(body) < 300, body)

    def test_logs_show_what_the_instances_print(self):
        self.cluster.apply(hello(2))

        def lines():
            return self.cluster.ctl('logs', 'hello').stdout.splitlines()

        wait_until(lambda: len(lines()) == 2, 10, 'a line of each instance')
        for name in ('hello.1', 'hello.2'):
            self.assertTrue(any(name in line and 'listening on port' in line for line in lines()))
        one = self.cluster.ctl('logs', 'hello.2').stdout
        self.assertIn('hello.2', one)
        self.assertNotIn('hello.1', one)

    def test_events_tell_the_story(self):
        self.cluster.apply(hello(1))
        self.cluster.ctl('scale', 'hello', '--replicas', 2)
        kinds = [event['kind'] for event in self.cluster.events('hello')]
        story = ['applied', 'placed', 'instance-ready', 'in-rotation',
                 'scaled', 'placed', 'instance-ready', 'in-rotation']
        rest = iter(kinds)
        self.assertTrue(all(kind in rest for kind in story), kinds)
        text = self.cluster.ctl('events', 'hello').stdout
        self.assertIn('hello.2', text)

    def test_documents_can_be_read_by_programs(self):
        self.cluster.apply(hello(1))
        for command in ('status', 'ps', 'nodes', 'proxies', 'version'):
            with self.subTest(command):
                self.assertIsInstance(
                    json.loads(self.cluster.ctl(command, '-o', 'json').stdout), dict)
        for command in ('events', 'logs'):
            with self.subTest(command):
                lines = self.cluster.ctl(command, '-o', 'json').stdout.splitlines()
                self.assertTrue(all(isinstance(json.loads(line), dict) for line in lines))
        changes = json.loads(self.cluster.ctl('scale', 'hello=2', '-o', 'json').stdout)['changes']
        self.assertEqual((changes[0]['app'], changes[0]['outcome']), ('hello', 'ok'))
        self.assertEqual(self.cluster.ctl('ps', '-o', 'name').stdout.split(),
                         ['hello.1', 'hello.2'])


if __name__ == '__main__':
    unittest.main()
