"""Nodes: drain under load, why something has no place, rebalance; and how long a drain may take."""
import json
import socket
import unittest

from pando_cluster import NOT_FOUND, NOT_PLACED, USAGE, ClusterTest, hello
from processes import wait_until


# Says which instance it is, on an upgraded connection that it keeps open.
TUNNEL_APP = """
const server = require('http').createServer((_, answer) => answer.end('ok'));
server.on('upgrade', (_, wire) => wire.on('error', () => {}).on('end', () => wire.end()).write(
    'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n' +
    process.env.PANDO_INSTANCE + '\\n'));
server.listen(process.env.PORT);
"""


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

    def test_a_node_that_joins_gets_its_share(self):
        cluster = self.cluster
        cluster.start_controller('--rebalance-after', '1s')
        cluster.apply_gateway(cluster.gateway_port)
        cluster.start_agent('node-1')
        cluster.start_proxy()
        wait_until(lambda: cluster.count('proxies', state='synced') == 1, 20, 'the proxy is synced')
        cluster.apply(hello(4))
        with cluster.load(options=['--post-percent', '20']) as load:
            cluster.start_agent('node-2')
            wait_until(lambda: self.per_node() == {'node-1': 2, 'node-2': 2}, 40,
                       lambda: f'two on each, but {self.per_node()}')
            self.assertIn('nothing to move', cluster.ctl('rebalance').stdout)
        self.assert_no_failures(load)
        moved = [event for event in cluster.events() if event['kind'] == 'moving']
        self.assertEqual(len(moved), 2)

    def test_a_rebalance_is_planned_and_done_by_hand(self):
        cluster = self.cluster
        cluster.start_controller('--rebalance-after', 'never')
        cluster.apply_gateway(cluster.gateway_port)
        cluster.start_agent('node-1')
        cluster.start_proxy()
        wait_until(lambda: cluster.count('proxies', state='synced') == 1, 20, 'the proxy is synced')
        cluster.apply(hello(4))
        cluster.start_agent('node-2')
        wait_until(lambda: cluster.count('nodes', state='ready') == 2, 20, 'node-2 has joined')
        plan = cluster.ctl('rebalance', '--plan').stdout
        self.assertIn('2 to move', plan)
        self.assertEqual(self.per_node(), {'node-1': 4})
        with cluster.load() as load:
            self.assertIn('rebalanced', cluster.ctl('rebalance', 'hello').stdout)
        self.assert_no_failures(load)
        self.assertEqual(self.per_node(), {'node-1': 2, 'node-2': 2})

    def open_tunnel(self):
        """A connection that was upgraded, and the instance at its end."""
        wire = socket.create_connection(('127.0.0.1', self.cluster.gateway_port), timeout=10)
        wire.sendall(b'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n'
                     b'Upgrade: websocket\r\n\r\n')
        received = b''
        while not received.endswith(b'\n') or b'\r\n\r\n' not in received or \
                received.endswith(b'\r\n\r\n'):
            bytes_now = wire.recv(4096)
            if not bytes_now:
                raise AssertionError(f'the tunnel was closed: {received}')
            received += bytes_now
        return wire, received.rsplit(b'\r\n', 1)[1].decode().strip()

    def test_tunnels_have_a_bound_of_their_own(self):
        cluster = self.cluster
        cluster.start_all()
        cluster.apply('name: hello\n' + f'command: [node, -e, {json.dumps(TUNNEL_APP)}]\n'
                      'replicas: 2\nhealth: {path: /, interval: 200ms}\n'
                      'stop: {drain: 1s, drain_tunnels: 5s, grace: 2s}\n')
        tunnels = [self.open_tunnel() for _ in range(4)]
        self.addCleanup(lambda: [wire.close() for wire, _ in tunnels])
        held = [wire for wire, instance in tunnels if instance == 'hello.2']
        self.assertTrue(held, tunnels)
        cluster.ctl('scale', 'hello', '--replicas', '1')
        wait_until(lambda: f'({len(held)} tunnels)' in cluster.try_ctl('why', 'hello.2').stdout, 10,
                   lambda: cluster.try_ctl('why', 'hello.2').stdout)
        wait_until(lambda: cluster.count('ps', name='hello.2') == 0, 20, 'hello.2 is gone')
        events = {event['kind']: event for event in cluster.events('hello')
                  if event['instance'] == 'hello.2'}
        self.assertIn(f'({len(held)} tunnels)', events['drain-timeout']['message'])
        waited = int(events['drain-timeout']['time_unix_ms']) - \
            int(events['draining']['time_unix_ms'])
        self.assertGreaterEqual(waited, 4_900)  # not the second that requests have
        self.assertEqual(held[0].recv(100), b'')


if __name__ == '__main__':
    unittest.main()
