"""What Pando is measured beside: nginx and HAProxy in front of given processes, and Node's cluster
module with processes of its own. On loopback, with files of their own; no service of the system is
touched."""
import http.client
import pathlib
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
START_SECONDS = 20

NGINX = """daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx.err error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {dir}/nginx-body;
  proxy_temp_path {dir}/nginx-proxy;
  fastcgi_temp_path {dir}/nginx-fastcgi;
  uwsgi_temp_path {dir}/nginx-uwsgi;
  scgi_temp_path {dir}/nginx-scgi;
  keepalive_requests 100000000;
  upstream app {{
    least_conn;
    {servers}
    keepalive 128;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""

HAPROXY = """global
  maxconn 8192
  no strict-limits
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:{port} backlog 4096
  default_backend app
backend app
  balance leastconn
  {servers}
"""

# Runs the very program the instances run, once for each worker.
NODE_CLUSTER = """const cluster = require('node:cluster');
cluster.setupPrimary({{exec: {script}}});
for (let i = 0; i < {workers}; ++i) cluster.fork();
"""


def answers(port):
    try:
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
        connection.request('GET', '/healthz')
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Peer:
    """A running program that answers on `port`; a context manager that ends it."""

    def __init__(self, name, port, argv, directory, environment=None):
        self.name, self.port = name, port
        self._log = directory / f'{name}.log'
        with open(self._log, 'wb') as out:
            self._popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                           env=environment, start_new_session=True)

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.port):
            if self._popen.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f'{self.name} does not answer: '
                                   f'{self._log.read_text(errors="replace")[-500:]}')
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def _program(name):
    return shutil.which(name) or f'/usr/sbin/{name}'


def nginx(directory, addresses):
    port = free_port()
    config = directory / 'nginx.conf'
    servers = ' '.join(f'server {address} max_fails=0;' for address in addresses)
    config.write_text(NGINX.format(dir=directory, port=port, servers=servers), encoding='ascii')
    return Peer('nginx', port, [_program('nginx'), '-p', directory, '-c', config], directory)


def haproxy(directory, addresses):
    port = free_port()
    config = directory / 'haproxy.cfg'
    servers = '\n  '.join(f'server s{i} {address}' for i, address in enumerate(addresses))
    config.write_text(HAPROXY.format(port=port, servers=servers), encoding='ascii')
    return Peer('haproxy', port, [_program('haproxy'), '-db', '-f', config], directory)


def node_cluster(directory, script, workers, environment):
    port = free_port()
    primary = directory / 'cluster.js'
    primary.write_text(NODE_CLUSTER.format(script=repr(str(script)), workers=workers),
                       encoding='utf-8')
    return Peer('node-cluster', port, ['node', primary], directory,
                {**environment, 'PORT': str(port)})
