"""Nodes: cordon, drain under load, and why something has no place."""
import json
import unittest

from pando_cluster import NOT_FOUND, NOT_PLACED, USAGE, ClusterTest, hello
from processes import wait_until


class NodesTest(ClusterTest):
    def per_node(self):
        counts = {}
        for instance in self.cluster.ask('ps'):
            if instance['state'] == 'in-rotation':
                counts[instance['node']] = counts.get(instance['node'], 0) + 1
        return counts

    def test_a_drain_under_load_fails_no_request(self):
        cluster = self.cluster
        cluster.start_all(agents=3)
        cluster.apply(hello(6))
        self.assertEqual(self.per_node(), {'node-1': 2, 'node-2': 2, 'node-3': 2})
        with cluster.load(options=['--post-percent', '20']) as load:
            drained = cluster.ctl('drain', 'node-2')
            self.assertIn('node-2 drained, 2 instances moved', drained.stdout)
            self.assertEqual(self.per_node(), {'node-1': 3, 'node-3': 3})
            self.assertEqual(cluster.count('nodes', draining=True), 1)
            cluster.ctl('uncordon', 'node-2')
            cluster.ctl('drain', 'node-1')
        self.assert_no_failures(load)
        self.assertEqual(self.per_node(), {'node-2': 3, 'node-3': 3})
        kinds = [event['kind'] for event in cluster.events()]
        self.assertEqual(kinds.count('node-drained'), 2)
        # Each left the rotation only after the one that took over had joined it.
        self.assertNotIn('drain-timeout', kinds)

    def test_what_has_no_place_says_why(self):
        cluster = self.cluster
        cluster.start_controller()
        cluster.apply_gateway(cluster.gateway_port)
        cluster.start_agent('node-1', '--max-instances', '2')
        cluster.start_agent('node-2', '--max-instances', '2')
        cluster.start_proxy()
        wait_until(lambda: cluster.count('nodes', state='ready') == 2, 20, 'agents are ready')
        cluster.apply(hello(4))
        cluster.ctl('scale', 'hello', '--replicas', 5, expect=NOT_PLACED)
        why = cluster.ctl('why', 'hello.5').stdout
        self.assertIn('hello.5 r1 pending: node-1 is full (2 of 2); node-2 is full (2 of 2)', why)
        cluster.ctl('scale', 'hello', '--replicas', 4)
        stuck = cluster.ctl('drain', 'node-2', expect=NOT_PLACED)
        self.assertIn('2 of 2 instances have no place elsewhere', stuck.stderr)
        self.assertIn('node-1 is full (2 of 2); node-2 is draining', stuck.stderr)
        self.assertIn('moves: its node is draining', cluster.ctl('why', 'node-2').stdout)
        with cluster.load() as load:
            cluster.ctl('drain', 'node-2', '--deadline', '1s')
        self.assert_no_failures(load)
        self.assertEqual(self.per_node(), {'node-1': 2})
        cluster.ctl('why', 'hello.9', expect=NOT_FOUND)
        cluster.ctl('drain', 'node-9', expect=NOT_FOUND)
        cluster.ctl('drain', 'node-1', '--deadline', 'soon', expect=USAGE)

    def test_instances_are_spread_over_zones(self):
        cluster = self.cluster
        cluster.start_controller()
        cluster.apply_gateway(cluster.gateway_port)
        for name, zone in (('node-1', 'a'), ('node-2', 'a'), ('node-3', 'b')):
            cluster.start_agent(name, '--label', f'zone={zone}')
        cluster.start_proxy()
        wait_until(lambda: cluster.count('nodes', state='ready') == 3, 20, 'agents are ready')
        cluster.apply(hello(4))
        self.assertEqual(self.per_node(), {'node-1': 1, 'node-2': 1, 'node-3': 2})
        cluster.apply(hello(4, extra='placement: {constraints: [zone!=a]}'))
        self.assertEqual(self.per_node(), {'node-3': 4})
        nodes = json.loads(cluster.ctl('nodes', '-o', 'json').stdout)['nodes']
        self.assertEqual({node['name']: node['labels']['zone'] for node in nodes},
                         {'node-1': 'a', 'node-2': 'a', 'node-3': 'b'})


if __name__ == '__main__':
    unittest.main()
