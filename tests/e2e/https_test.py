"""HTTPS gateways: from the spec to a handshake, with clients that are not ours."""
import http.client
import ssl
import subprocess
import unittest

from pando_cluster import ClusterTest, hello
from processes import wait_until


class HttpsTest(ClusterTest):
    def make_certificate(self, name):
        """(cert, key) of a new self-signed certificate; writing over an old one renews it."""
        cert, key = self.cluster.dir / f'{name}.pem', self.cluster.dir / f'{name}.key'
        subprocess.run(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
             '-nodes', '-days', '30', '-subj', f'/CN={name}', '-addext',
             f'subjectAltName=DNS:{name}', '-keyout', f'{key}.new', '-out', f'{cert}.new'],
            check=True, capture_output=True)
        for file in (cert, key):
            file.with_name(file.name + '.new').rename(file)
        return cert, key

    def apply_https(self, certificates, port, redirect):
        listed = ', '.join(f'{{cert: {cert}, key: {key}}}' for cert, key in certificates)
        self.cluster.apply(f'kind: Gateway\naddress: 127.0.0.1\nport: {port}\n'
                           f'tls: {{certificates: [{listed}], redirect: {redirect}}}\n')

    def handshake(self, port, name):
        """The certificate a client that asks for `name` is given, in PEM; None: no handshake."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            connection = http.client.HTTPSConnection('127.0.0.1', port, timeout=10,
                                                     context=context)
            connection._server_hostname = name  # pylint: disable=protected-access
            connection.connect()
            with connection.sock as sock:
                return ssl.DER_cert_to_PEM_cert(sock.getpeercert(True))
        except OSError:
            return None

    def ask(self, port, cert, name):
        """The status of a request whose client trusts `cert` alone, and asks for `name`."""
        return subprocess.run(
            ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code} %{ssl_verify_result}',
             '--cacert', str(cert), '--resolve', f'{name}:{port}:127.0.0.1',
             f'https://{name}:{port}/'], capture_output=True, text=True, timeout=30, check=False)

    def test_a_gateway_serves_https_by_name_and_redirects_http(self):
        one, two = self.make_certificate('one.test'), self.make_certificate('two.test')
        self.cluster.start_all()
        self.cluster.apply(hello(1))
        http_port, port = self.cluster.gateway_port, self.cluster.take_port()
        self.apply_https([one, two], port, http_port)
        for name, (cert, _) in (('one.test', one), ('two.test', two)):
            wait_until(lambda: self.ask(port, cert, name).stdout == '200 0', 20,
                       f'https://{name}/ answers')
        self.assertIn('(https)', self.cluster.ctl('status').stdout)

        status, headers, _ = self.cluster.get('/a?b=c', port=http_port, headers={'Host': 'one.test'})
        self.assertEqual((status, headers['Location']), (308, f'https://one.test:{port}/a?b=c'))

        # Nothing of a key is in what the proxy shows and keeps.
        secret = one[1].read_text().splitlines()[1].encode()
        shown = self.cluster.get('/table', port=self.cluster.proxy_admin_port)[2]
        self.assertIn('"tls":true', shown)
        for kept in [shown.encode(), *(file.read_bytes() for file in
                                       (self.cluster.dir / 'edge-1').rglob('*') if file.is_file()),
                     (self.cluster.dir / 'edge-1.log').read_bytes()]:
            self.assertNotIn(secret, kept)

    def test_renewed_certificates_are_used_without_losing_a_connection(self):
        one = self.make_certificate('one.test')
        self.cluster.start_all()
        self.cluster.apply(hello(1))
        port = self.cluster.take_port()
        self.apply_https([one], port, self.cluster.gateway_port)
        wait_until(lambda: self.handshake(port, 'one.test'), 20, 'the gateway speaks TLS')
        context = ssl.create_default_context(cafile=str(one[0]))
        context.check_hostname = False
        kept = http.client.HTTPSConnection('127.0.0.1', port, timeout=10, context=context)
        kept.request('GET', '/')
        self.assertEqual(kept.getresponse().read()[:0], b'')

        renewed = self.make_certificate('one.test')[0].read_text()
        self.cluster['edge-1'].signal('SIGHUP')
        wait_until(lambda: self.handshake(port, 'one.test') == renewed, 20,
                   'the renewed certificate is used')
        kept.request('GET', '/')
        self.assertEqual(kept.getresponse().status, 200)
        kept.close()

    def test_a_certificate_that_cannot_be_used_is_reported_and_the_old_gateway_serves_on(self):
        cert, key = self.make_certificate('one.test')
        other = self.make_certificate('two.test')[1]
        self.cluster.start_all()
        self.cluster.apply(hello(1))
        plain, port = self.cluster.gateway_port, self.cluster.take_port()
        self.apply_https([(cert, other)], port, plain)
        nack = wait_until(lambda: self.cluster.ask('proxies')[0]['nack'], 20, 'a NACK is shown')
        self.assertIn(f'tls_certificates[0].private_key: {other}: is not the key of {cert}', nack)
        self.assertEqual(self.cluster.get('/')[0], 200)
        # The right key where the wrong one was: the proxy finds it by itself.
        other.write_text(key.read_text())
        wait_until(lambda: self.ask(port, cert, 'one.test').stdout == '200 0', 20,
                   'the gateway serves once its key is right')


if __name__ == '__main__':
    unittest.main()
