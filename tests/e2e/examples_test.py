"""What deploy/examples shows is applied as it stands there, and works."""
import http.client
import os
import ssl
import subprocess
import unittest

import yaml

from pando_cluster import ROOT, ClusterTest
from processes import wait_until

EXAMPLES = ROOT / 'deploy' / 'examples'


def specs(is_gateway):
    """{path relative to the repository: spec} of the examples."""
    found = {}
    for path in sorted(EXAMPLES.rglob('*.yaml')):
        spec = yaml.safe_load(path.read_text(encoding='utf-8'))
        if (spec.get('kind') == 'Gateway') == is_gateway:
            found[path.relative_to(ROOT)] = spec
    return found


def may_be_isolated():
    """Root gives an app another user and a /tmp of its own; that user has to reach the app."""
    reached = all(directory.stat().st_mode & 0o001 for directory in (EXAMPLES, *EXAMPLES.parents))
    return os.geteuid() == 0 and reached and not EXAMPLES.is_relative_to('/tmp')


class ExamplesTest(ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.start_all()

    def ctl(self, *arguments):
        # In the directory the examples are written for.
        return self.cluster.ctl(*arguments, cwd=ROOT)

    def test_every_app_answers(self):
        apps = specs(is_gateway=False)
        self.assertGreaterEqual(len(apps), 5)
        for path, spec in apps.items():
            if 'isolation' in spec and not may_be_isolated():
                continue
            with self.subTest(path=str(path)):
                try:
                    self.apply_app(path, spec)
                finally:
                    self.cluster.try_ctl('rm', spec['name'], '-y')

    def apply_app(self, path, spec):
        self.ctl('apply', '-f', path)
        host = spec.get('route', {}).get('hosts', ['any.example'])[0]
        for target in ('/', '/healthz'):
            self.assertEqual(self.cluster.get(target, headers={'Host': host})[0], 200)
        self.assertEqual(self.cluster.count('ps', state='in-rotation'), spec.get('replicas', 1))

    def test_pushed_code_has_what_is_not_ignored(self):
        self.ctl('apply', '-f', 'deploy/examples/pushed/app.yaml')
        self.assertIn('came to the node', self.cluster.get(headers={'Host': 'pushed.localhost'})[2])
        for pid in self.cluster.pids().values():
            self.assertEqual(sorted(os.listdir(f'/proc/{pid}/cwd')),
                             ['.pandoignore', 'pages', 'server.js'])

    def apply_gateway_example(self, path, replaced):
        text = (ROOT / path).read_text(encoding='utf-8')
        for old, new in replaced.items():
            self.assertIn(old, text)
            text = text.replace(old, str(new))
        self.cluster.apply(text)

    def test_every_gateway_listens(self):
        self.assertEqual([path.name for path in specs(is_gateway=True)],
                         ['gateway.yaml', 'https.yaml'])
        self.ctl('apply', '-f', 'deploy/examples/minimal.yaml')
        port, plain = self.cluster.take_port(), self.cluster.take_port()
        self.apply_gateway_example('deploy/examples/gateway.yaml', {'8080': plain})
        wait_until(lambda: self.cluster.answers(port=plain), 20, 'it listens')

        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj',
                        '/CN=example.com', '-keyout', self.cluster.dir / 'example.com.key',
                        '-out', self.cluster.dir / 'example.com.pem'],
                       check=True, capture_output=True)
        self.apply_gateway_example('deploy/examples/https.yaml', {
            '0.0.0.0': '127.0.0.1', '8443': port, '8080': plain,
            '/etc/pando/tls': self.cluster.dir})
        wait_until(lambda: self.https_status(port) == 200, 20, 'it speaks HTTPS')
        status, headers, _ = self.cluster.get('/a', port=plain, headers={'Host': 'example.com'})
        self.assertEqual((status, headers['Location']), (308, 'https://example.com/a'))

    def https_status(self, port):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection('127.0.0.1', port, timeout=10, context=context)
        try:
            connection.request('GET', '/')
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()


if __name__ == '__main__':
    unittest.main()
