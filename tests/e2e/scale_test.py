"""Changes under load: no request may fail."""
import json
import unittest

from pando_cluster import ClusterTest, hello
from processes import wait_until


class ScaleTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all(agents=2)
        self.cluster.apply(hello(1))

    def test_scaling_up_and_down_fails_no_request(self):
        with self.cluster.load(options=['--post-percent', '20']) as load:
            said = self.cluster.ctl('scale', 'hello', '--replicas', 4).stdout
            self.assertEqual(len(self.cluster.pids()), 4)
            self.assertEqual({i['node'] for i in self.cluster.ask('ps')}, {'node-1', 'node-2'})
            self.cluster.ctl('scale', 'hello', '--replicas', 1)
            wait_until(lambda: len(self.cluster.processes()) == 1, 30, 'the surplus is stopped')
        self.assert_no_failures(load)
        for part in ('1 -> 4', 'ready 4/4', 'in rotation on 1/1'):
            self.assertIn(part, said)

    def test_every_instance_gets_its_share(self):
        self.cluster.ctl('scale', 'hello', '--replicas', 4)
        served = {json.loads(self.cluster.get('/whoami')[2])['instance'] for _ in range(60)}
        self.assertEqual(served, {f'hello.{slot}' for slot in range(1, 5)})

    def test_a_rollout_fails_no_request(self):
        self.cluster.ctl('scale', 'hello', '--replicas', 3)
        with self.cluster.load(options=['--post-percent', '20']) as load:
            self.cluster.apply(hello(env={'RELEASE': '2'}))
            self.assertEqual(json.loads(self.cluster.get('/whoami')[2])['revision'], '2')
            wait_until(lambda: len(self.cluster.processes()) == 3, 30, 'the old ones are stopped')
        self.assert_no_failures(load)
        self.assertEqual(self.cluster.app()['replicas'], 3, 'the operator owns the number')
        self.assertEqual({i['revision'] for i in self.cluster.ask('ps')}, {2})

    def test_a_release_that_never_gets_ready_leaves_the_old_one_serving(self):
        with self.cluster.load() as load:
            failed = self.cluster.apply(
                hello().replace('[node, server.js]', '[node, missing.js]'), expect=4)
            self.assertEqual(json.loads(self.cluster.get('/whoami')[2])['revision'], '1')
        self.assert_no_failures(load)
        self.assertIn('exited with code 1', failed.stdout + failed.stderr)


if __name__ == '__main__':
    unittest.main()
