"""A cluster of the real programs on loopback, for one test, and the TestCase that has one.

Environment: PANDO_BIN, the directory of the programs (default: build/release/bin).
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from load import Load
from ports import PortBlock
from prometheus import prepare_prometheus
from processes import (Daemon, Successor, end_marked_processes, marked_processes, program_of,
                       wait_until)

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get('PANDO_BIN', ROOT / 'build' / 'release' / 'bin')).resolve()
HELLO_DIR = ROOT / 'deploy' / 'examples' / 'hello'
LOG_TAIL_LINES = 40

OK, ERROR, USAGE, PENDING, ROLLOUT_FAILED, NOT_PLACED = 0, 1, 2, 3, 4, 5
TIMEOUT, CONFLICT, NOT_FOUND, UNREACHABLE = 6, 7, 8, 10


class Cluster:
    """Start what a test needs, in any order. close() ends everything and says what was left."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='pando-e2e-'))
        (self.dir / 'tmp').mkdir()
        # Agents pass HOME on to the instances, so it marks every process of this cluster.
        self._mark = f'HOME={self.dir}/tmp'
        self._ports = PortBlock()
        self._daemons = {}
        self._arguments = {}
        self.controller_port = self._ports.take()
        self.gateway_port = self._ports.take()
        self.http_ports = {}  # of each daemon's /metrics, by name

    # ---- where things run: here, on loopback ----

    edge_address = '127.0.0.1'  # of the controller and the proxy

    def prefix(self, name):
        """What to put before the command line of a daemon, of ctl or of the load client."""
        del name
        return []

    @property
    def controller_address(self):
        return f'{self.edge_address}:{self.controller_port}'

    # ---- daemons ----

    def environment(self):
        kept = {name: os.environ[name] for name in ('PATH', 'LANG') if name in os.environ}
        return {**kept, 'HOME': f'{self.dir}/tmp', 'TMPDIR': f'{self.dir}/tmp'}

    def start(self, name):
        """Starts a daemon again as it was started before."""
        program, arguments = self._arguments[name]
        argv = [*self.prefix(name), str(BIN / program), *arguments]
        daemon = Daemon(name, argv, self.dir / f'{name}.log', self.environment())
        self._daemons[name] = daemon
        return daemon

    def _start(self, name, program, arguments):
        self._arguments[name] = (program, [str(argument) for argument in arguments])
        return self.start(name)

    def __getitem__(self, name):
        return self._daemons[name]

    def take_port(self):
        return self._ports.take()

    def start_controller(self, *extra):
        self._start('controller', 'pando-controller', [
            '--data-dir', self.dir / 'controller', '--listen', self.controller_address,
            '--http-listen', self._http_address('controller'), *extra])
        self.wait_for_controller()

    def _http_address(self, name):
        self.http_ports[name] = self._ports.take()
        return f'127.0.0.1:{self.http_ports[name]}'

    def wait_for_controller(self):
        wait_until(lambda: self.try_ctl('status').returncode == OK, 20, 'the controller answers')

    def start_agent(self, name='node-1', *extra, ports=40, port_range=None):
        """Returns the (first, last) port it may give to instances: so many, or those given."""
        first, last = port_range or self._ports.take_range(ports)
        self._start(name, 'pando-agent', [
            '--data-dir', self.dir / name, '--node', name, '--controller', self.controller_address,
            '--http-listen', self._http_address(name), '--port-range', f'{first}-{last}',
            *extra])
        return first, last

    def start_proxy(self, name='edge-1', *extra):
        http_address = self._http_address(name)
        self._start(name, 'pando-proxy', [
            '--data-dir', self.dir / name, '--id', name, '--controller', self.controller_address,
            '--http-listen', http_address, '--workers', '2', *extra])
        return self.http_ports[name]

    def start_all(self, agents=1, proxy_options=()):
        """A controller, agents node-1.. and the proxy edge-1, all of them ready."""
        self.start_controller()
        self.apply_gateway(self.gateway_port)
        for number in range(1, agents + 1):
            self.start_agent(f'node-{number}')
        self.proxy_admin_port = self.start_proxy('edge-1', *proxy_options)
        wait_until(lambda: self.count('nodes', state='ready') == agents, 20, 'agents are ready')
        wait_until(lambda: self.count('proxies', state='synced') == 1, 20, 'the proxy is synced')

    def upgrade_proxy(self, name='edge-1'):
        """Has the proxy replaced in place; returns the old process, which may have work left."""
        old = self._daemons[name]
        os.kill(old.pid, signal.SIGUSR2)

        def successor():
            pid = int((self.dir / name / 'lock').read_text().strip() or old.pid)
            return pid if pid != old.pid else None

        pid = wait_until(successor, 20, 'a new proxy took over')
        self._daemons[name] = Successor(name, pid, old.log)
        return old

    def start_prometheus(self):
        """The real one, with the shipped configuration in a hurry; discovers all of this cluster."""
        port = self._ports.take()
        argv, prometheus = prepare_prometheus(self.dir / 'prometheus', port,
                                              self.http_ports['controller'])
        self._daemons['prometheus'] = Daemon('prometheus', argv, self.dir / 'prometheus.log',
                                             self.environment())
        wait_until(prometheus.ready, 20, 'Prometheus is ready')
        return prometheus

    # ---- ctl ----

    def try_ctl(self, *arguments, stdin=None, cwd=None):
        return subprocess.run(
            [*self.prefix('ctl'), str(BIN / 'ctl'), '--controller', self.controller_address, '--timeout', '45s',
             *map(str, arguments)],
            input=stdin, cwd=cwd or self.dir, env=self.environment(), capture_output=True,
            text=True, timeout=90, check=False)

    def ctl(self, *arguments, expect=OK, stdin=None, cwd=None):
        done = self.try_ctl(*arguments, stdin=stdin, cwd=cwd)
        if done.returncode != expect:
            raise AssertionError(f'ctl {" ".join(map(str, arguments))}: exit code '
                                 f'{done.returncode}, wanted {expect}\n{done.stdout}{done.stderr}')
        return done

    def apply(self, yaml, expect=OK):
        path = self.dir / 'app.yaml'
        path.write_text(yaml, encoding='utf-8')
        return self.ctl('apply', '-f', path.name, expect=expect)

    def apply_gateway(self, port):
        self.apply(f'kind: Gateway\naddress: {self.edge_address}\nport: {port}\n')

    def ask(self, what, *arguments):
        """The list of `ctl nodes|proxies -o json`, or the instances of `ctl ps`."""
        document = json.loads(self.ctl(what, *arguments, '-o', 'json').stdout)
        return document['instances' if what == 'ps' else what]

    def count(self, what, **wanted):
        return sum(all(item[key] == value for key, value in wanted.items())
                   for item in self.ask(what))

    def app(self, name='hello'):
        apps = json.loads(self.ctl('status', '-o', 'json').stdout)['apps']
        return next(app for app in apps if app['name'] == name)

    def events(self, *arguments):
        lines = self.ctl('events', *arguments, '--tail', '0', '-o', 'json').stdout.splitlines()
        return [json.loads(line) for line in lines if line]

    def pids(self):
        """{instance: pid} as the controller knows them."""
        return {instance['name']: int(instance['pid']) for instance in self.ask('ps')
                if int(instance['pid']) > 0}

    # ---- the app's side ----

    def get(self, path='/', port=None, headers=None, method='GET'):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection('127.0.0.1', port or self.gateway_port, timeout=10)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def answers(self, path='/', status=200, port=None):
        try:
            return self.get(path, port)[0] == status
        except (OSError, http.client.HTTPException):
            return False

    def load(self, path='/work', connections=8, options=()):
        return Load(f'http://{self.edge_address}:{self.gateway_port}{path}', connections, options,
                    self.prefix('load'))

    def processes(self):
        """{pid: instance} of the app processes that really run."""
        return {pid: environment['PANDO_INSTANCE']
                for pid, environment in marked_processes(self._mark.encode()).items()
                if 'PANDO_INSTANCE' in environment and program_of(pid) != 'pando-shim'}

    # ---- the end ----

    def close(self):
        """Ends every process; returns complaints about daemons that did not stop by themselves."""
        complaints = []
        # The controller last: the others tell it that they go.
        for daemon in sorted(self._daemons.values(), key=lambda each: each.name == 'controller'):
            try:
                daemon.stop()
            except AssertionError as late:
                complaints.append(str(late))
        # Instances outlive their agents by design.
        end_marked_processes(self._mark.encode())
        left = marked_processes(self._mark.encode())
        self._remove_groups()
        if left:
            complaints.append(f'processes are left: {sorted(left)}')
        self._ports.close()
        return complaints

    def _remove_groups(self):
        """The control groups of instances whose agent was gone before them."""
        for path in self.dir.glob('*/instances/*/cgroup'):
            for group in map(pathlib.Path, path.read_text().split()):
                for directory in (group, group.parent, group.parent.parent):
                    with contextlib.suppress(OSError):
                        directory.rmdir()

    def log_tails(self):
        tails = []
        for log in sorted(self.dir.rglob('*.log')):
            lines = log.read_text(errors='replace').splitlines()[-LOG_TAIL_LINES:]
            tails.append('\n'.join([f'--- {log.relative_to(self.dir)}', *lines]))
        return '\n'.join(tails)

    def remove_files(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def hello(replicas=None, env=None, extra=''):
    """A spec of the sample app, with short times."""
    lines = ['name: hello', 'command: [node, server.js]', f'dir: {HELLO_DIR}',
             'env: ' + json.dumps({'SERVICE_MS': '5', **(env or {})}),
             'health: {path: /healthz, interval: 200ms, timeout: 1s, startup: 20s}',
             'stop: {grace: 5s, drain: 10s}']
    if replicas is not None:
        lines.append(f'replicas: {replicas}')
    return '\n'.join([*lines, extra]) + '\n'


class ClusterTest(unittest.TestCase):
    """self.cluster is an empty Cluster; when the test fails, the tails of its logs are printed."""

    def make_cluster(self):
        return Cluster()

    def setUp(self):
        self.cluster = self.make_cluster()
        self.addCleanup(self._close)

    def _close(self):
        complaints = self.cluster.close()
        if complaints:
            self.fail('; '.join(complaints))

    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        self.cluster = None
        super().run(result)
        if self.cluster is None:
            return result
        if len(result.failures) + len(result.errors) > before:
            print(self.cluster.log_tails(), flush=True)
            print(f'logs are kept in {self.cluster.dir}', flush=True)
        else:
            self.cluster.remove_files()
        return result

    def assert_no_failures(self, load, at_least=10):
        """At least so many requests, none failed."""
        self.assertEqual(load.result['failed'], 0, load.result)
        self.assertGreaterEqual(load.result['requests'], at_least, load.result)
