"""What goes wrong is said: by whom, where, why, and with which exit code."""
import socket
import subprocess
import unittest

from pando_cluster import (BIN, ERROR, NOT_FOUND, NOT_PLACED, ROLLOUT_FAILED, UNREACHABLE, USAGE,
                           ClusterTest, hello)
from processes import wait_until


class MistakesTest(ClusterTest):
    def test_a_bad_spec_names_file_line_and_field_and_changes_nothing(self):
        self.cluster.start_all()
        self.cluster.apply(hello())
        before = (self.cluster.app(), self.cluster.pids())
        cases = [
            ('helth: {path: /}', ':7: unknown key helth (did you mean health?)'),
            ('replicas: many', ':7: replicas: "many" is not a whole number'),
            ('restart: {backoff: 5}', ':7: restart.backoff: "5" has no unit'),
            ('route: {hosts: ["a b"]}', ':7: route.hosts[0]: "a b" is not a host'),
            ('name: other', ':7: name: is written twice (first on line 1)'),
            ('resources: {memory: lots}', ':7: resources.memory: "lots" is not a size'),
            ('placement: [', ': not valid YAML'),
        ]
        for line, wanted in cases:
            with self.subTest(line):
                told = self.cluster.apply(hello(extra=line), expect=ERROR).stderr
                self.assertIn('app.yaml:', told)
                self.assertIn(wanted, told)
        # One bad document, and the good one before it is not applied either.
        two = hello(5) + '---\nname: Bad\ncommand: [x]\n'
        self.assertIn('app.yaml:10: name:', self.cluster.apply(two, expect=ERROR).stderr)
        self.assertEqual((self.cluster.app(), self.cluster.pids()), before)

    def test_unknown_apps_and_bad_usage_have_their_exit_codes(self):
        self.cluster.start_controller()
        for arguments in (['scale', 'nobody', '--replicas', 2], ['restart', 'nobody'],
                          ['logs', 'nobody'], ['rm', 'nobody', '-y'], ['spec', 'nobody']):
            with self.subTest(arguments):
                self.assertIn('nobody', self.cluster.ctl(*arguments, expect=NOT_FOUND).stderr)
        for arguments in (['scale', 'x', '--replicas', 'two'], ['frobnicate'], ['apply'],
                          ['ps', '--bogus']):
            with self.subTest(arguments):
                self.assertTrue(self.cluster.ctl(*arguments, expect=USAGE).stderr)

    def test_an_unreachable_controller_is_said_so(self):
        told = self.cluster.ctl('status', expect=UNREACHABLE)
        self.assertIn(self.cluster.controller_address, told.stderr)

    def test_an_app_that_crashes_at_its_start_fails_the_rollout(self):
        self.cluster.start_all()
        spec = ('name: broken\ncommand: [node, -e, "console.error(\'no database\'); '
                'process.exit(3)"]\n')
        failed = self.cluster.apply(spec, expect=ROLLOUT_FAILED)
        self.assertIn('exited with code 3', failed.stdout + failed.stderr)
        self.assertIn('no database', self.cluster.ctl('logs', 'broken').stdout)
        self.cluster.ctl('rm', 'broken', '-y')
        missing = 'name: missing\ncommand: [./no-such-program]\n'
        failed = self.cluster.apply(missing, expect=ROLLOUT_FAILED)
        self.assertIn('no-such-program', failed.stdout + failed.stderr)

    def test_what_cannot_be_placed_is_said_with_the_reason(self):
        self.cluster.start_all()
        spec = hello(1, extra='placement: {labels: {disk: ssd}}')
        told = self.cluster.apply(spec, expect=ERROR).stderr
        self.assertIn('app.yaml:8: placement.labels: no node has disk=ssd', told)
        self.assertEqual(self.cluster.ask('ps'), [])
        told = self.cluster.ctl('apply', '-f', 'app.yaml', '--force', expect=NOT_PLACED)
        self.assertIn('warning: placement.labels: no node has disk=ssd', told.stdout)
        self.assertIn('disk', told.stderr)

    def test_a_taken_gateway_port_is_reported_and_the_old_one_serves_on(self):
        self.cluster.start_all()
        self.cluster.apply(hello(1))
        with socket.socket() as stranger:
            stranger.bind(('127.0.0.1', 0))
            stranger.listen()
            port = stranger.getsockname()[1]
            self.cluster.apply_gateway(port)
            nack = wait_until(lambda: self.cluster.ask('proxies')[0]['nack'], 20, 'a NACK is shown')
            self.assertIn(str(port), nack)
            self.assertIn(str(port), self.cluster.ctl('proxies').stdout)
            self.assertEqual(self.cluster.get('/')[0], 200)
        self.cluster.apply_gateway(self.cluster.gateway_port)
        wait_until(lambda: not self.cluster.ask('proxies')[0]['nack'], 20, 'the NACK is over')
        self.assertEqual(self.cluster.get('/')[0], 200)

    def test_a_strangers_port_is_not_given_to_an_instance(self):
        self.cluster.start_controller()
        first, last = self.cluster.start_agent()
        self.cluster.apply_gateway(self.cluster.gateway_port)
        self.cluster.start_proxy()
        strangers = []
        try:
            for port in range(first, first + 10):
                stranger = socket.socket()
                strangers.append(stranger)
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                stranger.bind(('127.0.0.1', port))
                stranger.listen()
            self.cluster.apply(hello(4))
            used = {int(i['address'].rpartition(':')[2]) for i in self.cluster.ask('ps')}
            self.assertEqual(len(used), 4)
            self.assertTrue(all(first + 10 <= port <= last for port in used), used)
        finally:
            for stranger in strangers:
                stranger.close()

    def test_daemons_refuse_to_start_in_one_line(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        taken_address = f'127.0.0.1:{taken.getsockname()[1]}'
        (self.cluster.dir / 'file').touch()
        bad_dir = str(self.cluster.dir / 'file' / 'data')
        http_listen = ['--http-listen', '127.0.0.1:0']
        for program, others in (('pando-controller', ['--listen', '127.0.0.1:0']),
                                ('pando-agent', []), ('pando-proxy', [])):
            data = ['--data-dir', str(self.cluster.dir / program)]
            cases = [
                ('bad flag', ['--bogus'], USAGE, '--bogus'),
                ('bad address', [*data, '--http-listen', 'nonsense'], USAGE, 'nonsense'),
                ('not loopback', [*data, '--http-listen', '0.0.0.0:0'], USAGE, '--insecure'),
                ('taken port', [*data, *others, '--http-listen', taken_address], ERROR,
                 taken_address),
                ('bad data dir', ['--data-dir', bad_dir, *others, *http_listen], ERROR, bad_dir),
            ]
            if program == 'pando-proxy':
                log = str(self.cluster.dir / 'file' / 'access.log')
                cases.append(('bad access log', [*data, *http_listen, '--access-log', log], ERROR,
                              f'access log: cannot open {log}'))
            for name, flags, code, word in cases:
                with self.subTest(f'{program}: {name}'):
                    done = subprocess.run([str(BIN / program), *flags], capture_output=True,
                                          env=self.cluster.environment(), text=True, timeout=20,
                                          check=False)
                    self.assertEqual(done.returncode, code, done.stderr)
                    said = done.stderr.splitlines()
                    self.assertTrue(len(said) == 1 and word in said[0], done.stderr)

    def test_daemons_know_their_help_and_version(self):
        for program in ('pando-controller', 'pando-agent', 'pando-proxy', 'ctl'):
            for flag in ('--help', '--version'):
                with self.subTest(f'{program} {flag}'):
                    done = subprocess.run([str(BIN / program), flag], capture_output=True,
                                          text=True, timeout=20, check=False)
                    self.assertEqual((done.returncode, done.stderr), (0, ''))
                    self.assertTrue(done.stdout)


if __name__ == '__main__':
    unittest.main()
