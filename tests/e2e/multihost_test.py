"""Several hosts: spread, the loss of one under load, and its return. Needs root."""
import collections
import time
import unittest

from hosts import Hosts, why_not
from pando_cluster import Cluster, ClusterTest, hello
from processes import wait_until

SUSPECT_AFTER, LOST_AFTER = 1, 4  # seconds
CONNECTIONS = 8


class MultiHostCluster(Cluster):
    """Controller, proxy, ctl and load on the host "edge", an agent on "node-1" and on "node-2"."""

    def __init__(self):
        self.hosts = Hosts(['edge', 'node-1', 'node-2'])
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
                                 '--lost-after', f'{LOST_AFTER}s', *extra)

    def start_agent(self, name='node-1', *extra, ports=40):
        return super().start_agent(name, '--advertise-address', self.hosts.addresses[name], *extra,
                                   ports=ports)

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
            cut_at = time.monotonic()
            cluster.hosts.cut('node-2')
            wait_until(lambda: cluster.ready_on() == {'node-1': 8}, 40,
                       lambda: f'8 on node-1, but {cluster.ready_on()}')
            replaced_after = time.monotonic() - cut_at
        # Every connection may lose the request it had on the lost host, and no other.
        self.assertLessEqual(load.result['failed'], CONNECTIONS, load.result)
        self.assertGreaterEqual(replaced_after, LOST_AFTER)
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


if __name__ == '__main__':
    unittest.main()
