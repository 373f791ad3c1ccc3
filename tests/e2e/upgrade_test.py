"""A proxy replaced in place, under load: no request may fail and no connection be refused."""
import http.client
import os
import signal
import threading
import unittest

from pando_cluster import ClusterTest, hello
from processes import wait_until


class UpgradeTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.config = self.cluster.dir / 'proxy.toml'
        self.config.write_text('drain-timeout = "20s"\n')
        self.cluster.start_all(proxy_options=['--config', self.config])
        self.cluster.apply(hello(2))

    def one_proxy(self):
        proxies = self.cluster.ask('proxies')
        return [(p['id'], p['state']) for p in proxies] == [('edge-1', 'synced')]

    def test_upgrades_in_a_row_fail_no_request(self):
        refused = []
        stop = threading.Event()

        def come_anew():
            while not stop.is_set():
                try:
                    if self.cluster.get('/whoami')[0] != 200:
                        refused.append('an error')
                except (OSError, http.client.HTTPException) as error:
                    refused.append(repr(error))

        with self.cluster.load(options=['--post-percent', '20']) as load:
            visitor = threading.Thread(target=come_anew)
            visitor.start()
            for _ in range(3):
                old = self.cluster.upgrade_proxy()
                wait_until(lambda: not old.running(), 30, 'the old process ends')
                wait_until(self.one_proxy, 5, 'the controller knows of one proxy')
            stop.set()
            visitor.join()
        self.assert_no_failures(load, at_least=20)
        self.assertEqual(refused, [])
        self.assertEqual(self.cluster.get('/healthz', port=self.cluster.proxy_admin_port)[0], 200)

    def test_an_instance_is_not_stopped_while_the_old_process_uses_it(self):
        # The app does one request at a time; its probes have to wait for their turn, too.
        slow = hello(2, env={'SERVICE_MS': '1200'}).replace('timeout: 1s', 'timeout: 10s')
        self.cluster.apply(slow)
        answers = []
        asked = [threading.Thread(target=lambda: answers.append(self.cluster.get('/work')[0]))
                 for _ in range(6)]
        for thread in asked:
            thread.start()

        def in_flight():
            return sum(int(p['in_flight']) for p in self.cluster.ask('proxies')) >= 4

        wait_until(in_flight, 3, 'requests are on their way')
        old = self.cluster.upgrade_proxy()
        self.cluster.ctl('scale', 'hello', '--replicas', 1)
        for thread in asked:
            thread.join()
        self.assertEqual(answers, [200] * 6)
        wait_until(lambda: len(self.cluster.processes()) == 1, 30, 'the surplus is stopped')
        wait_until(lambda: not old.running(), 30, 'the old process ends')
        wait_until(self.one_proxy, 5, 'the controller knows of one proxy')

    def test_without_a_controller_it_works_as_well(self):
        self.cluster['controller'].kill()
        with self.cluster.load() as load:
            for _ in range(3):
                old = self.cluster.upgrade_proxy()
                wait_until(lambda: not old.running(), 30, 'the old process ends')
        self.assert_no_failures(load, at_least=20)

    def test_a_successor_that_cannot_start_leaves_the_old_one_serving(self):
        proxy = self.cluster['edge-1']
        with self.cluster.load() as load:
            self.config.write_text('drain-timeout = "soon"\n')
            os.kill(proxy.pid, signal.SIGUSR2)
            wait_until(lambda: 'serving on' in proxy.log.read_text(), 20, 'the attempt failed')
            self.assertTrue(proxy.running())
            self.config.write_text('drain-timeout = "20s"\n')
            old = self.cluster.upgrade_proxy()
            wait_until(lambda: not old.running(), 30, 'the old process ends')
        self.assert_no_failures(load, at_least=20)


if __name__ == '__main__':
    unittest.main()
