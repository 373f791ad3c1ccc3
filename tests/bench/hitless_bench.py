"""A Node.js app without any handling of signals, under load through two proxies, while it is deployed,
scaled from 2 to 8 and back, and moved off a node, over and over. Every request counts: a status
other than 200, a reset, a cut or changed body is a failure, and so is a WebSocket that loses a
message or ends other than by the app's process being stopped after the bound for open tunnels.

Keep-alive GETs and POSTs with bodies come from tests/tools/load.js, which never repeats a request.
Each WebSocket is opened, echoes some messages and is closed by its client.
"""
import argparse
import base64
import collections
import datetime
import os
import pathlib
import socket
import struct
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'e2e')]
from clone_bench import machine  # noqa: E402  (the path has to be set first)
from load import Load  # noqa: E402
from pando_cluster import ROOT, Cluster  # noqa: E402
from processes import wait_until  # noqa: E402

WEBSOCKETS = 8
MESSAGES = 20
# Nothing but node:http: what a WebSocket library does with frames that are small and whole.
APP = r"""
const http = require('node:http');
const crypto = require('node:crypto');
const server = http.createServer((request, response) => {
  if (request.method === 'POST') return request.pipe(response);
  response.end('hello\n');
});
server.on('upgrade', (request, wire) => {
  const accept = crypto.createHash('sha1')
      .update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
      .digest('base64');
  wire.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
             'Sec-WebSocket-Accept: ' + accept + '\r\n\r\n');
  let held = Buffer.alloc(0);
  wire.on('error', () => {}).on('data', (bytes) => {
    held = Buffer.concat([held, bytes]);
    while (held.length >= 6 && held.length >= 6 + (held[1] & 127)) {
      const size = held[1] & 127;
      const payload = Buffer.from(held.subarray(6, 6 + size));
      for (let i = 0; i < size; ++i) payload[i] ^= held[2 + i % 4];
      wire.write(Buffer.concat([Buffer.from([held[0], size]), payload]));
      if ((held[0] & 15) === 8) wire.end();
      held = held.subarray(6 + size);
    }
  });
});
server.listen(process.env.PORT);
"""


def app_spec(directory, release):
    return (f'name: web\ncommand: [node, app.js]\ndir: {directory}\nenv: {{RELEASE: "{release}"}}\n'
            'health: {interval: 200ms, timeout: 1s, startup: 20s}\nstop: {grace: 5s, drain: 20s}\n')


class WebSockets(threading.Thread):
    """Opens one WebSocket after the other until told to stop."""

    def __init__(self, port, outcomes, lock):
        super().__init__()
        self._port, self._outcomes, self._lock = port, outcomes, lock
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                self._session()
                outcome = 'ok'
            except (OSError, ValueError) as error:
                outcome = f'{type(error).__name__}: {error}'[:80]
            with self._lock:
                self._outcomes[outcome] += 1

    def _session(self):
        with socket.create_connection(('127.0.0.1', self._port), timeout=30) as wire:
            key = base64.b64encode(os.urandom(16)).decode()
            wire.sendall((f'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                          f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n').encode())
            head = b''
            while not head.endswith(b'\r\n\r\n'):
                head += self._exactly(wire, 1)
            if not head.startswith(b'HTTP/1.1 101 '):
                raise ValueError(head.split(b'\r\n', 1)[0].decode('latin-1'))
            for number in range(MESSAGES):
                self._echo(wire, 0x81, f'message {number} of {key}'.encode())
                time.sleep(0.01)  # a conversation, not a flood
            self._echo(wire, 0x88, struct.pack('!H', 1000))

    def _echo(self, wire, kind, payload):
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        wire.sendall(bytes([kind, 0x80 | len(payload)]) + mask + masked)
        if self._exactly(wire, 2 + len(payload)) != bytes([kind, len(payload)]) + payload:
            raise ValueError('another message came back')

    @staticmethod
    def _exactly(wire, count):
        got = b''
        while len(got) < count:
            more = wire.recv(count - len(got))
            if not more:
                raise ValueError(f'ended after {len(got)} of {count} bytes')
            got += more
        return got


def under_load(cluster, what, times, step, options, total):
    """One row of the table: `step(i)` for each i, with load all the while."""
    outcomes, lock = collections.Counter(), threading.Lock()
    sockets = [WebSockets(cluster.gateway_port, outcomes, lock) for _ in range(WEBSOCKETS)]
    load = Load(f'http://127.0.0.1:{cluster.gateway_port}/', connections=options.connections,
                options=['--duration', '600', '--post-percent', '30', '--post-path', '/',
                         '--body-bytes', '2048'])
    started = time.monotonic()
    with load:
        for each in sockets:
            each.start()
        try:
            for number in range(times):
                step(number)
            # The rest of the requests that were asked for, in the calm.
            wait_until(lambda: time.monotonic() - started >= options.least_seconds, 600, 'enough')
        finally:
            for each in sockets:
                each.stop.set()
            for each in sockets:
                each.join()
    failed = load.result['failed']
    bad = {outcome: count for outcome, count in outcomes.items() if outcome != 'ok'}
    row = (what, times, load.result['requests'], failed, sum(outcomes.values()), sum(bad.values()),
           time.monotonic() - started)
    print(f'{what}: {times} times, {row[2]} requests, {row[3]} failed; {row[4]} WebSockets, {row[5]} '
          f'failed; {row[6]:.0f} s', flush=True)
    for error in [*load.result.get('first_errors', []), *bad.items()][:5]:
        print('  ', error, flush=True)
    total.append(row)


def document(rows, command):
    lines = '\n'.join(f'| {what} | {times} | {requests} | {failed} | {sockets} | {lost} | '
                      f'{seconds:.0f} s |'
                      for what, times, requests, failed, sockets, lost, seconds in rows)
    requests, failed = sum(row[2] for row in rows), sum(row[3] for row in rows)
    return f"""# Changes under load

{datetime.date.today().isoformat()}, {machine()}; everything on one machine, load included.

```
{command}
```

A Node.js server without any handling of signals runs on two agents behind two proxies, under keep-alive GETs and POSTs (30 %, 2 KiB, echoed) and
{WEBSOCKETS} WebSockets at a time, each of {MESSAGES} messages. In all {requests} requests, {failed} of which failed.

| what | times | requests | failed | WebSockets | failed | took |
|---|---:|---:|---:|---:|---:|---:|
{lines}
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--deploys', type=int, default=50)
    parser.add_argument('--scales', type=int, default=50)
    parser.add_argument('--drains', type=int, default=20)
    parser.add_argument('--connections', type=int, default=32)
    parser.add_argument('--least-seconds', type=int, default=120, help='of each part (default 120)')
    parser.add_argument('--quick', action='store_true', help='3 of each')
    parser.add_argument('--write', action='store_true', help='write docs/benchmarks/hitless.md')
    options = parser.parse_args()
    if options.quick:
        options.deploys = options.scales = options.drains = 3
        options.least_seconds = 5
    return options


def main():
    options, rows = parse_arguments(), []
    cluster = Cluster()
    try:
        cluster.start_all(agents=2)
        cluster.start_proxy('edge-2')  # on the same port: the kernel spreads the connections
        wait_until(lambda: cluster.count('proxies', state='synced') == 2, 20, 'both are synced')
        (cluster.dir / 'app.js').write_text(APP, encoding='utf-8')
        cluster.apply(app_spec(cluster.dir, 'first'))
        cluster.ctl('scale', 'web', '--replicas', 4)

        def deploy(number):
            cluster.apply(app_spec(cluster.dir, number))

        def scale(_):
            cluster.ctl('scale', 'web', '--replicas', 8)
            cluster.ctl('scale', 'web', '--replicas', 2)

        def drain(number):
            node = f'node-{1 + number % 2}'
            cluster.ctl('drain', node)
            cluster.ctl('uncordon', node)

        under_load(cluster, 'rolling deploy of 4', options.deploys, deploy, options, rows)
        under_load(cluster, 'scale 2, 8, 2', options.scales, scale, options, rows)
        cluster.ctl('scale', 'web', '--replicas', 4)
        under_load(cluster, 'drain of a node', options.drains, drain, options, rows)
    finally:
        complaints = cluster.close()
        cluster.remove_files()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if options.write:
        (ROOT / 'docs' / 'benchmarks').mkdir(exist_ok=True)
        command = 'tests/bench/hitless ' + ' '.join(sys.argv[1:])
        (ROOT / 'docs' / 'benchmarks' / 'hitless.md').write_text(document(rows, command),
                                                                 encoding='utf-8')
    print(f'{sum(row[2] for row in rows)} requests, {sum(row[3] for row in rows)} failed; '
          f'{sum(row[4] for row in rows)} WebSockets, {sum(row[5] for row in rows)} failed')
    return 1 if complaints or any(row[3] or row[5] for row in rows) else 0


if __name__ == '__main__':
    sys.exit(main())
