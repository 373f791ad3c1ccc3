"""ctl top and ctl bench say what really happens."""
import json
import unittest

from pando_cluster import ERROR, ClusterTest, hello
from processes import wait_until


class TopTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all(agents=2)
        self.cluster.apply(hello(2))

    def top(self, what, *arguments):
        return json.loads(self.cluster.ctl('top', what, *arguments, '-o', 'json').stdout)[what]

    def test_apps_instances_and_nodes_show_the_load(self):
        def all_known():
            instances = self.top('instances', 'hello')
            return (len(instances) == 2 and
                    all(each['requests']['requests_per_second'] > 5 and
                        each['requests'].get('p99_seconds', 0) > 0.004 and
                        each['usage'].get('cpu_cores', 0) > 0 and
                        int(each['usage']['memory_bytes']) > 10 << 20 and
                        each['usage']['processes'] == 1 for each in instances))

        with self.cluster.load():
            wait_until(all_known, 30, lambda: json.dumps(self.top('instances')))
            app, = self.top('apps')
            self.assertEqual((app['app'], app['replicas'], app['available']), ('hello', 2, 2))
            self.assertGreater(app['requests']['requests_per_second'], 10)
            self.assertEqual(app['requests']['errors_per_second'], 0)
            self.assertGreater(app['requests']['p99_seconds'], app['requests']['p50_seconds'] / 2)
            nodes = self.top('nodes')
            self.assertEqual([node['name'] for node in nodes], ['node-1', 'node-2'])
            for node in nodes:
                self.assertEqual((node['state'], node['instances']), ('ready', 1))
                self.assertGreater(int(node['memory_bytes']), int(node['memory_used_bytes']))
                self.assertGreater(node['cpu_cores'], 0)
            text = self.cluster.ctl('top', 'instances', '--sort', 'requests').stdout
            self.assertIn('hello.1', text)
            wait_until(lambda: '▁' in self.cluster.ctl('status').stdout or
                       '█' in self.cluster.ctl('status').stdout, 20, 'status draws the past')
        wait_until(lambda: self.top('apps')[0]['requests']['requests_per_second'] < 10, 40,
                   'the rate fades when nobody asks any more')

    def test_an_event_loop_that_is_blocked_is_told_by_the_app_itself(self):
        def p99():
            return [each['usage'].get('event_loop_delay_p99_seconds')
                    for each in self.top('instances', 'hello')]

        def is_between(least, most):
            delays = p99()
            return len(delays) == 1 and delays[0] is not None and least < delays[0] < most

        self.assertEqual(p99(), [None, None], 'an app without a page of metrics')
        self.cluster.apply(hello(1, env={'SERVICE_MS': '300'}, extra='metrics: {path: /metrics}'))
        # The monitor's own resolution is 10 ms.
        wait_until(lambda: is_between(0.005, 0.2), 30, lambda: f'idle: {p99()}')
        with self.cluster.load(connections=2):
            wait_until(lambda: is_between(0.25, 5), 30, lambda: f'blocked: {p99()}')
            self.assertIn('LOOP P99', self.cluster.ctl('top', 'instances').stdout)
        wait_until(lambda: is_between(0.005, 0.2), 30, lambda: f'idle again: {p99()}')

    def test_bench_asks_as_often_as_told_and_tells_of_failures(self):
        url = f'http://127.0.0.1:{self.cluster.gateway_port}'
        done = self.cluster.ctl('bench', f'{url}/work', '--rate', 100, '--duration', '2s',
                                '-o', 'json', '-q')
        result = json.loads(done.stdout)['bench']
        self.assertEqual((int(result['due']), int(result['answered']), int(result['failed'])),
                         (200, 200, 0))
        self.assertEqual(result['statuses'], {'200': 200})
        self.assertGreater(result['latency_seconds']['p50'], 0.004)
        self.cluster.ctl('stop', 'hello')
        failed = self.cluster.ctl('bench', f'{url}/work', '--rate', 20, '--duration', '1s',
                                  expect=ERROR)
        self.assertIn('503: 20', failed.stdout)


if __name__ == '__main__':
    unittest.main()
