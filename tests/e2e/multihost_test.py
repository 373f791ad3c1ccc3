"""Several hosts: spread, the loss of one or of most under load, and their return. Needs root."""
import collections
import json
import subprocess
import sys
import time
import unittest

from hosts import Hosts, why_not
from load import Load
from pando_cluster import Cluster, ClusterTest, hello
from processes import wait_until

SUSPECT_AFTER, LOST_AFTER = 1, 4  # seconds
CONNECTIONS = 8
PRINT_URL = 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())'


class MultiHostCluster(Cluster):
    """Controller, proxy, ctl and load on the host "edge", agents on "node-1", "node-2", ...;
    a second proxy may run on the host "edge-2"."""

    def __init__(self, nodes=2, controller_options=()):
        self.hosts = Hosts(['edge', 'edge-2', *(f'node-{n}' for n in range(1, nodes + 1))])
        self._controller_options = controller_options
        try:
            super().__init__()
        except BaseException:
            self.hosts.close()
            raise
        self.edge_address = self.hosts.addresses['edge']

    def prefix(self, name):
        return self.hosts.prefix(name if name in self.hosts.addresses else 'edge')

    def start_controller(self, *extra):
        super().start_controller('--insecure', '--suspect-after', f'{SUSPECT_AFTER}s',
                                 '--lost-after', f'{LOST_AFTER}s',
                                 *self._controller_options, *extra)

    def start_agent(self, name='node-1', *extra, ports=40):
        return super().start_agent(name, '--advertise-address', self.hosts.addresses[name], *extra,
                                   ports=ports)

    def apply_gateway(self, port):
        self.apply(f'kind: Gateway\naddress: 0.0.0.0\nport: {port}\n')

    def start_second_proxy(self):
        self.start_proxy('edge-2')
        wait_until(lambda: self.count('proxies', state='synced') == 2, 20, 'edge-2 is synced')

    def load_on_second_proxy(self, options=()):
        """From the host of that proxy itself, so that only its own way to the nodes counts."""
        return Load(f'http://127.0.0.1:{self.gateway_port}/work', CONNECTIONS, options,
                    self.prefix('edge-2'))

    def close(self):
        try:
            return super().close()
        finally:
            self.hosts.close()

    def real_instances(self):
        """{host: the instances whose processes run there}, sorted."""
        found = collections.defaultdict(list)
        for pid, instance in self.processes().items():
            found[self.hosts.of_process(pid)].append(instance)
        return {host: sorted(instances) for host, instances in found.items()}

    def steps_since(self, wall):
        """{kind of event: (first, last) seconds after the moment `wall`}, by the controller."""
        steps = {}
        for event in self.events():
            after = round(int(event['time_unix_ms']) / 1000 - wall, 2)
            if after >= 0:
                steps.setdefault(event['kind'], []).append(after)
        return {kind: (times[0], times[-1]) for kind, times in steps.items()}

    def ready_on(self):
        """{node: how many of its instances are in rotation}."""
        return dict(collections.Counter(instance['node'] for instance in self.ask('ps')
                                        if instance['state'] == 'in-rotation'))


@unittest.skipIf(why_not(), why_not())
class MultiHostTest(ClusterTest):
    def make_cluster(self):
        return MultiHostCluster()

    def setUp(self):
        super().setUp()
        self.cluster.start_all(agents=2)

    def test_a_host_is_cut_off_and_comes_back(self):
        cluster = self.cluster
        cluster.apply(hello(1))
        cluster.ctl('scale', 'hello', '--replicas', 8)
        self.assertEqual(cluster.ready_on(), {'node-1': 4, 'node-2': 4})
        everyone = [f'hello.{slot}' for slot in range(1, 9)]

        with cluster.load(connections=CONNECTIONS, options=['--timeout', '20']) as load:
            cut_at, cut_wall = time.monotonic(), time.time()
            cluster.hosts.cut('node-2')
            wait_until(lambda: cluster.ready_on() == {'node-1': 8}, 40,
                       lambda: f'8 on node-1, but {cluster.ready_on()}')
            replaced_after = time.monotonic() - cut_at
        print(f'after the cut: {cluster.steps_since(cut_wall)}', flush=True)
        # Every connection may lose the request it had on the lost host, and no other.
        self.assertLessEqual(load.result['failed'], CONNECTIONS, load.result)
        # The last word of the host may be as old as it is told to speak often.
        self.assertGreaterEqual(replaced_after, LOST_AFTER - SUSPECT_AFTER / 4)
        self.assertEqual(cluster.real_instances(),
                         {'node-1': everyone, 'node-2': cluster.real_instances()['node-2']})

        with cluster.load(connections=CONNECTIONS) as back:
            cluster.hosts.join('node-2')
            wait_until(lambda: cluster.count('nodes', state='ready') == 2, 40, 'node-2 is back')
            wait_until(lambda: sum(map(len, cluster.real_instances().values())) == 8, 40,
                       lambda: f'no double instances, but {cluster.real_instances()}')
            wait_until(lambda: sum(cluster.ready_on().values()) == 8, 20, '8 in rotation')
        self.assert_no_failures(back)
        running = sorted(sum(cluster.real_instances().values(), []))
        self.assertEqual(running, everyone)
        print(f'cut off: 8 ready again after {replaced_after:.1f} s, '
              f'{load.result["failed"]} of {load.result["requests"]} requests failed, '
              f'the longest took {load.result["max_ms"]:.0f} ms', flush=True)

    def test_traffic_leaves_a_host_that_is_cut_off(self):
        cluster = self.cluster
        cluster.apply(hello(4))
        with cluster.load(connections=CONNECTIONS, options=['--timeout', '20']) as load:
            cut_at = time.monotonic()
            cluster.hosts.cut('node-2')
            wait_until(lambda: not self.healthy_on('node-2'), 20, 'the table is without node-2')
            left_after = time.monotonic() - cut_at
        self.assertLessEqual(load.result['failed'], CONNECTIONS, load.result)
        cluster.hosts.join('node-2')
        print(f'cut off: out of the tables after {left_after:.1f} s, {load.result["failed"]} of '
              f'{load.result["requests"]} requests failed', flush=True)

    def healthy_on(self, node):
        names = {i['address'] for i in self.cluster.ask('ps') if i['node'] == node}
        table = json.loads(subprocess.run(
            [*self.cluster.prefix('edge'), sys.executable, '-c', PRINT_URL,
             f'http://127.0.0.1:{self.cluster.proxy_admin_port}/table'],
            capture_output=True, text=True, check=True).stdout)
        return [e for c in table['clusters'] for e in c['endpoints']
                if e['health'] == 'healthy' and f"{e['address']}:{e['port']}" in names]


@unittest.skipIf(why_not(), why_not())
class MassLossTest(ClusterTest):
    def make_cluster(self):
        return MultiHostCluster(nodes=3, controller_options=('--proxy-lease', '3s'))

    def setUp(self):
        super().setUp()
        self.cluster.start_all(agents=3)

    def frozen(self):
        return json.loads(self.cluster.ctl('status', '-o', 'json').stdout)['cluster']['frozen']

    def silence_of(self, node):
        """In seconds."""
        return max(int(n['heartbeat_age_ms']) for n in self.cluster.ask('nodes')
                   if n['name'] == node) / 1000

    def kinds(self):
        return [event['kind'] for event in self.cluster.events()]

    def test_two_of_three_hosts_die(self):
        cluster = self.cluster
        cluster.apply(hello(6))
        self.assertEqual(cluster.ready_on(), {'node-1': 2, 'node-2': 2, 'node-3': 2})
        with cluster.load(connections=CONNECTIONS, options=['--timeout', '20']) as load:
            cut_at = time.monotonic()
            cluster.hosts.cut('node-2')
            cluster.hosts.cut('node-3')
            wait_until(lambda: 'frozen' in self.kinds(), 20, 'the cluster is frozen')
            wait_until(lambda: cluster.ready_on() == {'node-1': 6}, 40,
                       lambda: f'6 on node-1, but {cluster.ready_on()}')
            replaced_after = time.monotonic() - cut_at
        self.assertLessEqual(load.result['failed'], 2 * CONNECTIONS, load.result)
        self.assertFalse(self.frozen())
        lost = [e['message'] for e in cluster.events() if e['kind'] == 'node-lost']
        self.assertIn('proxies confirm it', lost[0])
        print(f'two of three died: 6 ready again after {replaced_after:.1f} s, '
              f'{load.result["failed"]} of {load.result["requests"]} requests failed', flush=True)
        # What comes back stops what was replaced.
        cluster.hosts.join('node-2')
        cluster.hosts.join('node-3')
        wait_until(lambda: sum(map(len, cluster.real_instances().values())) == 6, 40,
                   lambda: f'no double instances, but {cluster.real_instances()}')

    def test_a_controller_that_lost_sight_changes_nothing(self):
        cluster = self.cluster
        cluster.start_second_proxy()
        cluster.apply(hello(6))
        before = cluster.processes()
        with cluster.load_on_second_proxy() as load:
            for node in ('node-2', 'node-3'):
                cluster.hosts.block(node, 'edge')
            wait_until(self.frozen, 20, 'the cluster is frozen')
            status = cluster.ctl('status').stdout
            self.assertIn('FROZEN: 2 of 3 nodes and 4 of 6 instances are silent', status)
            wait_until(lambda: self.silence_of('node-2') > 2 * LOST_AFTER, 40,
                       'it is silent for longer than it takes to lose a node')
            self.assertTrue(self.frozen())
            for node in ('node-2', 'node-3'):
                cluster.hosts.unblock(node, 'edge')
            wait_until(lambda: not self.frozen(), 40, 'the freeze ended')
        self.assert_no_failures(load)
        self.assertEqual(cluster.processes(), before)
        self.assertNotIn('node-lost', self.kinds())

    def test_a_proxy_that_is_cut_off_holds_nobody_up(self):
        cluster = self.cluster
        cluster.start_second_proxy()
        cluster.apply(hello(6))
        with cluster.load_on_second_proxy() as load:
            cluster.hosts.block('edge-2', 'edge')
            # It has the six in its table for ever; what it picks of them is tried elsewhere.
            cluster.ctl('scale', 'hello', '--replicas', '2')
            wait_until(lambda: len(cluster.processes()) == 2, 40, 'four are stopped')
        self.assert_no_failures(load)
        cluster.hosts.unblock('edge-2', 'edge')


if __name__ == '__main__':
    unittest.main()
