"""The servers of tests/bench/proxy: an app, and the proxies before it. All on loopback, with files
of their own, each pinned to one core; nothing of the system's own nginx or HAProxy is touched."""
import http.client
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ.get('PANDO_BIN', HERE.parents[1] / 'build' / 'release' / 'bin'))
PROXY_CORE, LOAD_CORE = '0', '1'
FILES = {'64B': 64, '1KiB': 1024, '100KiB': 100 * 1024}
START_SECONDS = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def pinned(core, argv):
    return ['taskset', '-c', core, *map(str, argv)]


def get(port, path='/64B'):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
    try:
        connection.request('GET', path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Server:
    """A running program. `pid` is the process that does the work."""

    def __init__(self, name, port, tls_port, argv, core, log):
        self.name, self.port, self.tls_port = name, port, tls_port
        self._log = log
        with open(log, 'wb') as out:
            self._popen = subprocess.Popen(pinned(core, argv), stdin=subprocess.DEVNULL,
                                           stdout=out, stderr=out, start_new_session=True)
        self.pid = self._popen.pid

    def wait_until_it_answers(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._popen.poll() is not None:
                raise RuntimeError(f'{self.name} ended: {self.log_tail()}')
            try:
                if get(self.port)[0] == 200:
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f'{self.name} does not answer: {self.log_tail()}')
            time.sleep(0.05)
        children = pathlib.Path(f'/proc/{self._popen.pid}/task/{self._popen.pid}/children')
        workers = children.read_text(encoding='ascii').split()
        if workers:  # nginx's master, HAProxy's with -W: the work is done by a child
            self.pid = int(workers[0])

    def log_tail(self):
        return self._log.read_text(errors='replace')[-500:].strip()

    def stop(self):
        self._popen.terminate()
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


class Bench:
    """All servers; a context manager that ends them and removes their files."""

    def __init__(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # of all that is started from here
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='pando-bench-'))
        self.dir.chmod(0o755)  # nginx's worker is another user when it is started by root
        self._values = {'DIR': self.dir, 'UPSTREAM': free_port()}
        self._servers = []
        www = self.dir / 'www'
        www.mkdir()
        for name, size in FILES.items():
            (www / name).write_bytes(b'x' * size)
        self._make_certificate()

    def __enter__(self):
        try:
            self._start('upstream', LOAD_CORE, 'upstream.conf.in', self._values['UPSTREAM'])
            self.proxies = [self._start_pando(),
                            self._start('nginx', PROXY_CORE, 'nginx.conf.in'),
                            self._start('haproxy', PROXY_CORE, 'haproxy.cfg.in'),
                            self._start_floor()]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self._servers:
            server.stop()
        shutil.rmtree(self.dir)

    def _make_certificate(self):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj',
                        '/CN=localhost', '-keyout', self.dir / 'key.pem', '-out',
                        self.dir / 'cert.pem'], check=True, capture_output=True)
        both = (self.dir / 'cert.pem').read_text() + (self.dir / 'key.pem').read_text()
        (self.dir / 'both.pem').write_text(both)

    def _start(self, name, core, template, port=None):
        port, tls_port = port or free_port(), free_port()
        text = (HERE / 'peers' / template).read_text()
        for key, value in {**self._values, 'LISTEN': port, 'TLS_LISTEN': tls_port}.items():
            text = text.replace(f'@{key}@', str(value))
        config = self.dir / f'{name}.conf'
        config.write_text(text)
        program = 'haproxy' if name == 'haproxy' else 'nginx'
        binary = shutil.which(program) or f'/usr/sbin/{program}'
        argv = [binary, '-db', '-f', config] if program == 'haproxy' else [
            binary, '-p', self.dir, '-c', config]
        return self._add(Server(name, port, tls_port, argv, core, self.dir / f'{name}.log'))

    def _start_pando(self):
        port, tls_port = free_port(), free_port()
        data = self.dir / 'pando'
        data.mkdir()
        subprocess.run([BIN.parent / 'tests' / 'proxy_table', data / 'table.pb', str(port),
                        str(self._values['UPSTREAM']), str(tls_port), self.dir / 'cert.pem',
                        self.dir / 'key.pem'], check=True)
        # Nobody is at port 1: it serves by the table on disk, as it would without its controller.
        argv = [BIN / 'pando-proxy', '--data-dir', data, '--id', 'bench', '--workers', '1',
                '--controller', '127.0.0.1:1', '--http-listen', f'127.0.0.1:{free_port()}']
        return self._add(Server('pando', port, tls_port, argv, PROXY_CORE, self.dir / 'pando.log'))

    def _start_floor(self):
        port = free_port()
        return self._add(Server('floor', port, None, [
            BIN.parent / 'tests' / 'tcp_floor', port, self._values['UPSTREAM']], PROXY_CORE,
            self.dir / 'floor.log'))

    def _add(self, server):
        self._servers.append(server)
        server.wait_until_it_answers()
        return server
