"""Load for tests/bench/proxy, and what a process used while it ran: CPU time, system calls, memory.

Times of a shared machine's clock mean little; what a process itself used means much.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess

from bench_servers import LOAD_CORE, pinned

TICKS = os.sysconf('SC_CLK_TCK')

BROWSER = {
    'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Accept': 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8',
    'Accept-Language': 'en-US,en;q=0.5',
    'Accept-Encoding': 'gzip, deflate, br, zstd',
    'Referer': 'http://localhost/a/page/before/this/one?with=a&query=string',
    'Cookie': 'session=6c84fb9012c411e1840d7b25c5ee775a; theme=dark; consent=1; _ga=GA1.1.29; '
              'cart=3f1a9b7c',
    'Sec-Fetch-Dest': 'document',
    'Sec-Fetch-Mode': 'navigate',
    'Sec-Fetch-Site': 'same-origin',
    'Upgrade-Insecure-Requests': '1',
}


def cpu_seconds(pid):
    """(user, system) of all threads. The kernel scales both to what it measured exactly."""
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return int(fields[11]) / TICKS, int(fields[12]) / TICKS


def proportional_bytes(pid):
    text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'^Pss:\s+(\d+) kB', text, re.M).group(1)) * 1024


def wrk(url, seconds, connections, headers):
    options = [part for name, value in headers.items() for part in ('-H', f'{name}: {value}')]
    return pinned(LOAD_CORE, ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', *options, url])


def requests_of(output):
    """Requests wrk had answered; errors make the figure worthless, so they are one."""
    bad = re.findall(r'^\s*(Socket errors.*|Non-2xx.*)$', output, re.M)
    if bad and not all(re.fullmatch(r'Socket errors: connect 0, read \d+, write 0, timeout 0', line)
                       for line in bad):
        raise RuntimeError(f'wrk: {"; ".join(bad)}')
    return int(re.search(r'(\d+) requests in', output).group(1))


def run_load(pid, command):
    """(requests, user us, system us) per request of process `pid` while `command` ran."""
    before = cpu_seconds(pid)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = cpu_seconds(pid)
    requests = requests_of(done.stdout)
    return requests, *((b - a) * 1e6 / requests for a, b in zip(before, after))


def count_system_calls(pid, command):
    """System calls per request, or None where perf may not count them."""
    if shutil.which('perf') is None:
        return None
    done = subprocess.run(['perf', 'stat', '-x,', '-e', 'raw_syscalls:sys_enter', '-p', str(pid),
                           '--', *command], capture_output=True, text=True, check=False)
    counted = re.search(r'^(\d+),.*raw_syscalls:sys_enter', done.stderr, re.M)
    if done.returncode != 0 or counted is None:
        return None
    return int(counted.group(1)) / requests_of(done.stdout)


class IdleClients:
    """Connections that each had one answer and then say nothing."""

    REQUEST = b'GET /64B HTTP/1.1\r\nHost: localhost\r\n\r\n'

    def __init__(self, port, count):
        self._sockets = []
        for _ in range(count):
            client = socket.create_connection(('127.0.0.1', port), timeout=10)
            client.sendall(self.REQUEST)
            answer = b''
            while not answer.endswith(b'x' * 64):
                piece = client.recv(4096)
                if not piece:
                    raise RuntimeError('the proxy closed a connection')
                answer += piece
            self._sockets.append(client)

    def close(self):
        for client in self._sockets:
            client.close()
