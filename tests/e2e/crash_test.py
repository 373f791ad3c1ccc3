"""kill -9 of every part, while requests flow."""
import json
import os
import signal
import unittest

from pando_cluster import ClusterTest, hello
from processes import wait_until


class CrashTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all()
        self.cluster.apply(hello(3))
        self.pids = self.cluster.pids()

    def assert_same_instances(self):
        self.assertEqual(self.cluster.pids(), self.pids)
        self.assertEqual(set(self.cluster.processes()), set(self.pids.values()))

    def in_rotation(self, count=3):
        return self.cluster.count('ps', state='in-rotation') == count

    def test_a_killed_instance_fails_no_get_and_comes_back(self):
        victim = self.pids['hello.2']
        with self.cluster.load() as load:
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: self.cluster.pids().get('hello.2', victim) != victim
                       and self.in_rotation(), 20, 'hello.2 is back')
        self.assert_no_failures(load)
        instance = next(i for i in self.cluster.ask('ps') if i['name'] == 'hello.2')
        self.assertEqual(instance['restarts'], 1)
        exits = [e for e in self.cluster.events('hello') if e['kind'] == 'instance-exited']
        self.assertEqual([e['instance'] for e in exits], ['hello.2'])

    def test_a_killed_agent_stops_nothing(self):
        # As many as the retry budget saves at least: all may be on the instance that is killed.
        with self.cluster.load(connections=3) as load:
            self.cluster['node-1'].kill()
            self.cluster.start('node-1')
            wait_until(lambda: self.cluster.count('nodes', state='ready') == 1 and
                       self.in_rotation(), 20, 'the node is back')
            self.assert_same_instances()
            # The new agent supervises what the old one started.
            os.kill(self.pids['hello.1'], signal.SIGKILL)
            wait_until(lambda: self.cluster.pids().get('hello.1', self.pids['hello.1']) !=
                       self.pids['hello.1'] and self.in_rotation(), 20, 'hello.1 is back')
        self.assert_no_failures(load)

    def test_a_killed_proxy_serves_from_its_last_table(self):
        self.cluster['controller'].kill()
        self.cluster['edge-1'].kill()
        self.cluster.start('edge-1')
        wait_until(lambda: self.cluster.answers('/'), 20, 'the proxy serves without a controller')
        table = json.loads(self.cluster.get('/table', port=self.cluster.proxy_admin_port)[2])
        self.assertEqual(table['source'], 'file')
        self.cluster.start('controller')
        self.cluster.wait_for_controller()
        wait_until(lambda: self.cluster.count('proxies', state='synced') == 1, 20,
                   'the proxy is synced')
        self.assertEqual(self.cluster.get('/')[0], 200)

    def test_a_killed_controller_is_missed_by_nobody(self):
        with self.cluster.load(options=['--post-percent', '20']) as load:
            self.cluster['controller'].kill()
            self.cluster.start('controller')
            self.cluster.wait_for_controller()
            wait_until(self.in_rotation, 20, 'the controller knows all instances again')
            self.assert_same_instances()
            self.assertEqual(self.cluster.app()['revision'], 1)
            self.cluster.ctl('scale', 'hello', '--replicas', 5)
        self.assert_no_failures(load)
        after = self.cluster.pids()
        self.assertEqual({name: after[name] for name in self.pids}, self.pids)
        self.assertEqual(len(after), 5)

    def test_without_a_controller_instances_are_still_restarted(self):
        self.cluster['controller'].kill()
        victim = self.pids['hello.3']
        with self.cluster.load() as load:
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: sorted(self.cluster.processes().values()) ==
                       ['hello.1', 'hello.2', 'hello.3'] and
                       victim not in self.cluster.processes(), 20, 'hello.3 runs again')
        self.assert_no_failures(load)

    def test_everything_killed_at_once_comes_back(self):
        for name in ('controller', 'node-1', 'edge-1'):
            self.cluster[name].kill()
        for name in ('edge-1', 'node-1', 'controller'):
            self.cluster.start(name)
        self.cluster.wait_for_controller()
        wait_until(self.in_rotation, 30, 'all instances are in rotation')
        self.assert_same_instances()
        self.assertEqual(self.cluster.get('/')[0], 200)

    def test_a_crash_loop_is_shown_as_such_with_the_last_lines(self):
        self.cluster.try_ctl('apply', '-f', '-', '--detach', stdin=(
            'name: broken\ncommand: [node, -e, "console.error(`no such table`); process.exit(3)"]\n'
            'route: {path: /broken}\nrestart: {backoff: 50ms, max_backoff: 100ms}\n'))

        def shown():
            return next((i for i in self.cluster.ask('ps') if i['name'] == 'broken.1'), {})

        wait_until(lambda: shown().get('state') == 'crash-loop', 20, 'a crash loop')
        wait_until(lambda: 'no such table' in shown()['detail'], 20, 'the last line of the log')
        self.assertIn('times in a row', shown()['detail'])
        self.assertGreaterEqual(shown()['crashes'], 3)
        events = [e for e in self.cluster.events('broken') if e['kind'] == 'crash-loop']
        self.assertEqual(len(events), 1)
        why = self.cluster.ctl('why', 'broken.1').stdout
        self.assertIn('crash loop: exited with code 3', why)
        self.assertIn('broken.1 | no such table', why)
        # The others do not suffer.
        self.assertTrue(self.in_rotation(3))

    def test_a_hung_instance_loses_traffic_and_its_probe_fails(self):
        victim = self.pids['hello.2']
        with self.cluster.load(options=['--timeout', '20']) as load:
            os.kill(victim, signal.SIGSTOP)
            wait_until(lambda: any(i['name'] == 'hello.2' and i['state'] == 'unhealthy'
                                   for i in self.cluster.ask('ps')), 20, 'the probe fails')
            os.kill(victim, signal.SIGCONT)
            wait_until(self.in_rotation, 20, 'it is back')
        # What was on its way to it is answered when it goes on.
        self.assert_no_failures(load)
        self.assertEqual(self.cluster.pids()['hello.2'], victim)


if __name__ == '__main__':
    unittest.main()
