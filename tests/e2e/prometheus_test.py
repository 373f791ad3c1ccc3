"""A real Prometheus discovers the cluster, and fires the right alert for a real fault."""
import json
import re
import unittest
import urllib.request

import prometheus
from pando_cluster import ROLLOUT_FAILED, ROOT, ClusterTest, hello
from processes import wait_until

# An app with metrics of its own.
COUNTING_APP = """
const http = require('node:http');
let requests = 0;
http.createServer((request, response) => {
  if (request.url === '/my-metrics') {
    response.writeHead(200, {'Content-Type': 'text/plain; version=0.0.4'});
    response.end(`counting_requests_total ${requests}\\n`);
  } else {
    ++requests;
    response.end('counted\\n');
  }
}).listen(Number(process.env.PORT));
"""


@unittest.skipIf(prometheus.why_not(), prometheus.why_not())
class PrometheusTest(ClusterTest):
    def start(self, agents):
        self.cluster.start_all(agents=agents)
        self.prometheus = self.cluster.start_prometheus()
        wait_until(lambda: self.value('count(up{job="pando"} == 1)') == agents + 2, 30,
                   'all daemons are scraped')

    def value(self, expression):
        found = self.prometheus.query(expression)
        return found[0][1] if found else None

    def test_every_daemon_is_discovered_and_documented(self):
        self.start(agents=2)
        self.cluster.apply(hello(2))
        for _ in range(5):
            self.cluster.get('/')
        found = {(labels['role'], labels['instance'], labels.get('node'), labels.get('proxy'))
                 for labels, _ in self.prometheus.query('up{job="pando"}')}
        self.assertEqual(found, {('controller', 'controller', None, None),
                                 ('agent', 'node-1', 'node-1', None),
                                 ('agent', 'node-2', 'node-2', None),
                                 ('proxy', 'edge-1', None, 'edge-1')})
        # Instances keep their own name beside their node's.
        wait_until(lambda: self.value('count(pando_instance_cpu_seconds_total{instance=~"hello[.].",'
                                      'node=~"node-."})') == 2, 20, 'both instances are told of')
        wait_until(lambda: (self.value('pando_proxy_lag_seconds{proxy="edge-1"}') == 0
                            and self.value('pando_app_available{app="hello"}') == 2), 20,
                   'the proxy has the newest table')
        documented = set(re.findall(r'^\| `(\w+)[^`]*` \| (\w+) \|',
                                    (ROOT / 'docs' / 'metrics.md').read_text(encoding='utf-8'),
                                    re.M))
        self.assertEqual(self.exposed() - documented, set())

    def exposed(self):
        """{(metric, type)} of all daemons."""
        families = set()
        for port in self.cluster.http_ports.values():
            with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=5) as answer:
                families |= set(re.findall(r'^# TYPE (\w+) (\w+)$', answer.read().decode(), re.M))
        return families

    def test_metrics_of_apps_are_scraped_too(self):
        self.start(agents=1)
        (self.cluster.dir / 'counting.js').write_text(COUNTING_APP, encoding='utf-8')
        self.cluster.apply(f'name: counting\ncommand: [node, counting.js]\n'
                           f'dir: {self.cluster.dir}\nreplicas: 2\nmetrics: {{path: /my-metrics}}\n')
        for _ in range(6):
            self.cluster.get('/')
        wait_until(lambda: self.value('sum(counting_requests_total{job="pando-apps"})') == 6, 20,
                   'the requests are counted by the app itself')
        found = {(labels['app'], labels['instance'], labels['revision'], labels['node'])
                 for labels, _ in self.prometheus.query('counting_requests_total')}
        self.assertEqual(found, {('counting', 'counting.1', '1', 'node-1'),
                                 ('counting', 'counting.2', '1', 'node-1')})

    def test_a_healthy_cluster_fires_nothing(self):
        self.start(agents=2)
        self.cluster.apply(hello(2))
        with self.cluster.load():
            wait_until(lambda: (self.value('app:pando_requests:rate1m{app="hello"}') or 0) > 10, 20,
                       'the requests are in the recorded rate')
            wait_until(lambda: self.prometheus.query('app:pando_balance:max_over_mean'), 20,
                       'the balance is recorded')
            self.cluster.ctl('scale', 'hello', '--replicas', 4)
        self.assertEqual(self.prometheus.firing(), [])

    def test_a_crash_loop_fires_for_the_instance(self):
        self.start(agents=1)
        self.cluster.apply(hello(1).replace('[node, server.js]', '[node, missing.js]'),
                           expect=ROLLOUT_FAILED)
        wait_until(lambda: self.prometheus.fires('PandoCrashLoop', app='hello', instance='hello.1',
                                                 node='node-1'), 30, self.alerts_so_far)
        wait_until(lambda: self.prometheus.fires('PandoRolloutFailed', app='hello'), 10,
                   self.alerts_so_far)
        self.assertFalse(self.prometheus.fires('PandoNodeLost'))

    def test_a_lost_node_fires_for_the_node(self):
        self.start(agents=3)
        self.cluster.apply(hello(3))
        self.cluster['node-2'].kill()
        wait_until(lambda: self.prometheus.fires('PandoNodeLost', node='node-2'), 30,
                   self.alerts_so_far)
        wait_until(lambda: self.prometheus.fires('PandoDaemonNotScraped', instance='node-2'), 10,
                   self.alerts_so_far)
        self.assertEqual({alert.get('node') for alert in self.prometheus.firing()
                          if alert['alertname'] == 'PandoNodeLost'}, {'node-2'})
        self.cluster.start('node-2')
        wait_until(lambda: not self.prometheus.firing(), 30, self.alerts_so_far)

    def test_a_proxy_that_is_cut_off_and_a_missing_controller_fire(self):
        self.start(agents=1)
        self.cluster['edge-1'].kill()
        wait_until(lambda: self.prometheus.fires('PandoProxyStale', proxy='edge-1'), 30,
                   self.alerts_so_far)
        self.cluster['controller'].kill()
        wait_until(lambda: self.prometheus.fires('PandoNoLeader'), 30, self.alerts_so_far)

    def alerts_so_far(self):
        return json.dumps(self.prometheus.firing())


if __name__ == '__main__':
    unittest.main()
