"""What gateways and apps say of requests reaches the proxies that run, and stays with them."""
import http.client
import json
import socket
import unittest

from pando_cluster import ERROR, NOT_FOUND, OK, ClusterTest
from processes import wait_until

# Answers with the headers it was sent.
ECHO = ('name: echo\n'
        'command: [node, -e, "require(\'http\').createServer((q, s) => { q.resume(); q.on(\'end\', '
        '() => s.end(JSON.stringify(q.headers))) }).listen(process.env.PORT)"]\n')

# One of two instances takes requests and says nothing; the other one answers with its name.
HALF_SILENT = ('name: half\n'
               'replicas: 2\n'
               'command: [node, -e, "require(\'http\').createServer((q, s) => { '
               'if (process.env.PANDO_INSTANCE !== \'half.1\') s.end(process.env.PANDO_INSTANCE) })'
               '.listen(process.env.PORT)"]\n'
               'load_balancing: {policy: round_robin}\n'
               'timeouts: {per_try: 300ms, total: 30s}\n')


class GatewayTest(ClusterTest):
    def gateway(self, options=''):
        self.cluster.apply(f'kind: Gateway\naddress: 127.0.0.1\n'
                           f'port: {self.cluster.gateway_port}\n{options}')

    def headers(self, claims):
        """As the app sees them; None when it was not reached."""
        status, _, body = self.cluster.get('/', headers=claims)
        return json.loads(body) if status == 200 else None

    def status_of_post(self, size):
        connection = http.client.HTTPConnection('127.0.0.1', self.cluster.gateway_port, timeout=10)
        try:
            connection.request('POST', '/', body=b'x' * size)
            return connection.getresponse().status
        finally:
            connection.close()

    def through_balancer(self):
        with socket.create_connection(('127.0.0.1', self.cluster.gateway_port), 10) as client:
            client.sendall(b'PROXY TCP4 9.8.7.6 127.0.0.1 1234 80\r\n'
                           b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
            answer = b''
            while piece := client.recv(65536):
                answer += piece
        return '"x-forwarded-for":"9.8.7.6"' in answer.decode()

    def test_options_change_under_running_proxies_and_outlive_them(self):
        self.cluster.start_all()
        self.cluster.apply(ECHO)
        claims = {'X-Forwarded-For': '6.6.6.6', 'X-Forwarded-Proto': 'https'}
        seen = self.headers(claims)
        self.assertEqual((seen['x-forwarded-for'], seen['x-forwarded-proto']), ('127.0.0.1', 'http'))
        self.assertEqual(len(seen['x-request-id']), 32)
        self.assertRegex(seen['traceparent'], '^00-[0-9a-f]{32}-[0-9a-f]{16}-01$')

        self.gateway('forwarded: {trusted: [127.0.0.0/8], traces: pass}\nlimits: {request_line: 1Ki}\n')
        wait_until(lambda: self.headers(claims)['x-forwarded-for'] == '6.6.6.6, 127.0.0.1', 20,
                   'the proxy believes us')
        seen = self.headers(claims)
        self.assertEqual(seen['x-forwarded-proto'], 'https')
        self.assertNotIn('traceparent', seen)
        self.assertEqual(self.cluster.get('/' + 'a' * 2000)[0], 414)

        self.assertEqual(self.status_of_post(2000), 200)
        self.cluster.apply(ECHO + 'limits: {body: 1Ki}\n')
        self.assertEqual(self.status_of_post(1024), 200)
        self.assertEqual(self.status_of_post(1025), 413)

        self.gateway('proxy_protocol: true\n')
        wait_until(self.through_balancer, 20, 'the proxy reads the PROXY header')
        # All of it is in the table on disk.
        self.assertEqual(self.cluster['controller'].stop(), OK)
        self.assertEqual(self.cluster['edge-1'].stop(), OK)
        self.cluster.start('edge-1')
        wait_until(self.listening, 20, 'the proxy is back')
        self.assertTrue(self.through_balancer())

    def retries(self):
        _, _, body = self.cluster.get('/stats', port=self.cluster.http_ports['edge-1'])
        return sum(app['retries_total'] for app in json.loads(body)['clusters'])

    def test_a_try_that_takes_too_long_is_given_up_for_another_instance(self):
        self.cluster.start_all()
        self.cluster.apply(HALF_SILENT)
        self.assertIn('per_try: 300ms', self.cluster.ctl('spec', 'half').stdout)

        def was_retried():
            status, _, body = self.cluster.get('/')
            self.assertEqual((status, body), (200, 'half.2'))
            return self.retries() > 0
        # Now and then the silent one is asked again.
        wait_until(was_retried, 60, 'the silent instance was asked first')

        def was_refused():
            status, _, _ = self.cluster.get('/', method='POST')
            self.assertIn(status, (200, 504))
            return status == 504
        wait_until(was_refused, 60, 'a POST is not sent to another instance')

    def test_a_removed_gateway_frees_its_port_for_another_one(self):
        self.cluster.start_all()
        self.cluster.apply(ECHO)
        port = self.cluster.take_port()
        self.cluster.apply(f'kind: Gateway\nname: second\naddress: 127.0.0.1\nport: {port}\n')
        wait_until(lambda: self.cluster.answers(port=port), 20, 'the second gateway')
        third = f'kind: Gateway\nname: third\naddress: 0.0.0.0\nport: {port}\n'
        refused = self.cluster.apply(third, expect=ERROR).stderr
        self.assertIn(f'app.yaml:4: port: gateways second and third both claim port {port}: '
                      f'127.0.0.1:{port} and 0.0.0.0:{port} overlap', refused)
        self.cluster.ctl('rm', '--gateway', 'second', '-y')
        wait_until(lambda: not self.listening(port), 20, 'nobody listens there')
        unknown = self.cluster.ctl('rm', '--gateway', 'second', '-y', expect=NOT_FOUND).stderr
        self.assertIn('no such gateway: second (there are: default)', unknown)
        self.cluster.apply(third)
        wait_until(lambda: self.cluster.answers(port=port), 20, 'the third gateway')
        self.assertEqual(self.cluster.count('proxies', state='synced'), 1)
        self.assertTrue(self.cluster.answers())

    def listening(self, port=None):
        port = port or self.cluster.gateway_port
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return True
        except OSError:
            return False


if __name__ == '__main__':
    unittest.main()
