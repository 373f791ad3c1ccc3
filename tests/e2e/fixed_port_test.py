"""Apps that hard-code their port: many of them on one host, by a preloaded library or the shim."""
import errno
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

from pando_cluster import BIN, ROLLOUT_FAILED, ROOT, ClusterTest
from ports import PortBlock
from processes import wait_until

LIBRARY = BIN / 'libpando-fixed-port.so'
EXAMPLE = ROOT / 'deploy' / 'examples' / 'fixed-port'
STATIC_SERVER = BIN.parent / 'tests' / 'static_server'
GO_SERVER = BIN.parent / 'tests' / 'go_server'

# Binds each [family, address, port] and connects to [address, port]: prints the port it got, or the
# name of the error, and whether it reached itself.
BINDER = '''
import errno, json, os, socket, sys
binds, connects = json.loads(sys.argv[1])
held = []
for family, address, port in binds:
    one = socket.socket(getattr(socket, family))
    held.append(one)
    # As servers do: connections that ended a while ago may still have the port.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == 'AF_INET6':
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        one.bind((address, port))
        one.listen()
        print(one.getsockname()[1])
    except OSError as error:
        print(errno.errorcode[error.errno])
for address, port in connects:
    try:
        with socket.create_connection((address, port), timeout=10):
            print('reached')
    except OSError as error:
        print(errno.errorcode[error.errno])
'''


def parent_of(pid):
    stat = pathlib.Path('/proc', str(pid), 'stat').read_text(encoding='utf-8')
    return int(stat.rpartition(')')[2].split()[1])


class FixedPortTest(ClusterTest):
    def answers(self, app):
        """{instance: what it answers on its own port}, once all three are ready."""
        def ready():
            instances = [i for i in self.cluster.ask('ps', app) if i['state'] == 'in-rotation']
            return instances if len(instances) == 3 else None
        instances = wait_until(ready, 60, f'three instances of {app} are ready')
        ports = {i['name']: int(i['address'].rpartition(':')[2]) for i in instances}
        self.assertEqual(len(set(ports.values())), 3)
        self.assertNotIn(8080, ports.values())
        return {name: self.cluster.get('/', port=port) for name, port in ports.items()}

    def test_one_hard_coded_port_is_served_by_three_instances_of_one_host(self):
        self.cluster.start_all()
        self.cluster.apply(f'name: fixed\ncommand: [node, server.js]\ndir: {EXAMPLE}\n'
                           'port: {fixed: 8080}\nreplicas: 3\nroute: {path: /}\n')
        for name, answer in self.answers('fixed').items():
            self.assertEqual(answer[::2], (200, name + '\n'))
        # A child of a shell that has other ideas of PORT.
        (self.cluster.dir / 'index.html').write_text('it works', encoding='utf-8')
        self.cluster.apply('name: python\n'
                           'command: [sh, -c, "PORT=1 python3 -m http.server 8080; exit"]\n'
                           f'dir: {self.cluster.dir}\nport: {{fixed: 8080}}\nreplicas: 3\n'
                           'route: {hosts: [python.example]}\n')
        for answer in self.answers('python').values():
            self.assertEqual(answer[::2], (200, 'it works'))

    def serve_statically(self, command):
        """Three ready instances of a program that no library can be preloaded into."""
        self.cluster.start_all()
        self.cluster.apply(f'name: static\ncommand: {json.dumps(command)}\n'
                           'port: {fixed: 8080}\nreplicas: 3\nroute: {path: /}\n'
                           'health: {interval: 200ms}\nrestart: {backoff: 100ms}\n')
        self.assert_each_answers_for_itself()

    def assert_each_answers_for_itself(self):
        for name, answer in self.answers('static').items():
            self.assertEqual(answer[::2], (200, name + '\n'))

    def test_a_static_program_runs_unchanged(self):
        self.serve_statically([str(STATIC_SERVER)])
        self.assertIn(self.cluster.get('/')[2], {f'static.{slot}\n' for slot in (1, 2, 3)})

    def test_a_static_program_behind_a_shell_runs_unchanged(self):
        self.serve_statically(['sh', '-c', f'{STATIC_SERVER}; exit'])

    @unittest.skipUnless(GO_SERVER.exists(), 'go is not installed')
    def test_a_go_program_runs_unchanged(self):
        self.serve_statically([str(GO_SERVER)])

    def test_static_programs_outlive_their_agent(self):
        self.serve_statically([str(STATIC_SERVER)])
        pids = self.cluster.pids()
        self.cluster['node-1'].kill()
        self.assert_each_answers_for_itself()
        self.cluster.start('node-1')
        wait_until(lambda: self.cluster.count('nodes', state='ready') == 1, 20, 'the node is back')
        self.assert_each_answers_for_itself()
        self.assertEqual(self.cluster.pids(), pids)
        # What is started anew is led as well: after the end of the app, and of its shim.
        os.kill(pids['static.1'], signal.SIGKILL)
        os.kill(parent_of(pids['static.2']), signal.SIGKILL)
        wait_until(lambda: not set(self.cluster.pids().values()) &
                   {pids['static.1'], pids['static.2']} and
                   self.cluster.count('ps', state='in-rotation') == 3, 30, 'both are back')
        self.assert_each_answers_for_itself()
        self.assertEqual(self.cluster.pids()['static.3'], pids['static.3'])
        self.cluster.ctl('rm', 'static', '-y')
        wait_until(lambda: not self.cluster.processes(), 20, 'nothing of it is left')

    def test_a_program_that_cannot_be_led_says_so(self):
        self.cluster.start_all()
        program = self.cluster.dir / 'old'
        program.write_bytes(b'\x7fELF\x01\x01\x01' + bytes(57))  # of 32 bits
        program.chmod(0o755)
        failed = self.cluster.apply(f'name: old\ncommand: [{program}]\nport: {{fixed: 8080}}\n',
                                    expect=ROLLOUT_FAILED)
        self.assertIn('not a 64-bit program: ', failed.stdout + failed.stderr)
        self.assertIn('not a 64-bit program: ', self.cluster.ctl('ps', '-o', 'json').stdout)


class BindTest(unittest.TestCase):
    def setUp(self):
        self.ports = PortBlock()
        self.addCleanup(self.ports.close)
        self.fixed, self.own, self.other = (self.ports.take() for _ in range(3))

    def bind(self, *binds, variable=None, connects=()):
        variable = f'{self.fixed}:{self.own}' if variable is None else variable
        done = subprocess.run([sys.executable, '-c', BINDER, json.dumps([binds, connects])],
                              env={**os.environ, 'LD_PRELOAD': str(LIBRARY),
                                   'PANDO_FIXED_PORT': variable},
                              capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.split()

    def test_the_fixed_port_is_replaced_in_both_families_and_no_other_is(self):
        got = self.bind(('AF_INET', '127.0.0.1', self.fixed), ('AF_INET', '127.0.0.1', self.other),
                        ('AF_INET6', '::', self.fixed), ('AF_INET', '127.0.0.1', self.fixed))
        own, other = str(self.own), str(self.other)
        self.assertEqual(got, [own, other, own, own])

    def test_the_app_reaches_itself_at_its_fixed_port(self):
        got = self.bind(('AF_INET', '0.0.0.0', self.fixed), ('AF_INET6', '::1', self.fixed),
                        connects=[('127.0.0.1', self.fixed), ('::1', self.fixed),
                                  ('::ffff:127.0.0.1', self.fixed), ('127.0.0.1', self.other)])
        self.assertEqual(got[2:], ['reached', 'reached', 'reached', 'ECONNREFUSED'])

    def test_without_two_good_ports_nothing_is_replaced(self):
        for value in ('', '{0}', '{0}:', '0:{1}', '{0}:0', '{0}x:{1}', '{0}:{1}x', '-{0}:{1}',
                      '65536:{1}', '{0}:65536', ':{1}'):
            got = self.bind(('AF_INET', '127.0.0.1', self.fixed),
                            variable=value.format(self.fixed, self.own))
            self.assertEqual(got, [str(self.fixed)], value)

    def test_a_taken_port_of_its_own_is_an_error_the_app_sees(self):
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(('127.0.0.1', self.own))
            holder.listen()
            got = self.bind(('AF_INET', '127.0.0.1', self.fixed))
        self.assertEqual(got, [errno.errorcode[errno.EADDRINUSE]])


if __name__ == '__main__':
    unittest.main()
