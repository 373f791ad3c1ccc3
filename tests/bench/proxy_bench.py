"""CPU time, system calls and memory per request of Pando's proxy, nginx and HAProxy.

One worker each, pinned to core 0; the load and the app are on core 1. Rounds go through the proxies
in turn, so that whatever else the machine does meets all of them; medians are shown. Retries,
timeouts, passive health and metrics are on, access logs are off. "floor" forwards bytes without
looking at them (tests/bench/tcp_floor.cc): only what is above it could still be saved in user space,
the rest is the kernel's TCP path.
"""
import argparse
import datetime
import os
import pathlib
import platform
import statistics
import sys

from bench_load import (BROWSER, IdleClients, count_system_calls, proportional_bytes,
                        run_load, wrk)
from bench_servers import FILES, HERE, Bench

REPORT = HERE.parents[1] / 'docs' / 'benchmarks' / 'proxy.md'


class Load:
    """A load of requests; per request, or per GB where the body is what costs."""

    def __init__(self, title, path='64B', headers=None, tls=False, per_gb=False):
        self.title, self.path, self.headers = title, path, headers or {}
        self.connections, self.tls, self.per_gb = 64, tls, per_gb
        self.anew = self.headers.get('Connection') == 'close'

    def url(self, proxy):
        port = proxy.tls_port if self.tls else proxy.port
        return f'{"https" if self.tls else "http"}://127.0.0.1:{port}/{self.path}'

    def command(self, proxy, seconds):
        return wrk(self.url(proxy), seconds, self.connections, self.headers)


CASES = {
    'small': Load('64 B, keep-alive'),
    'browser': Load('1 KiB, ten browser headers', '1KiB', BROWSER),
    'large': Load('100 KiB bodies', '100KiB', per_gb=True),
    'connect': Load('a connection per request', headers={'Connection': 'close'}),
    'tls': Load('64 B, TLS 1.3 keep-alive', tls=True),
}
IDLE = 'idle'


def measure_load(case, proxies, rounds, seconds):
    samples = {proxy.name: [] for proxy in proxies}
    for proxy in proxies:
        run_load(proxy.pid, case.command(proxy, 1))
    for _ in range(rounds):
        for proxy in proxies:
            samples[proxy.name].append(run_load(proxy.pid, case.command(proxy, seconds)))
    rows = []
    for proxy in proxies:
        per_request = samples[proxy.name]
        rows.append({
            'proxy': proxy.name,
            'user': statistics.median(s[1] for s in per_request),
            'system': statistics.median(s[2] for s in per_request),
            'total': statistics.median(s[1] + s[2] for s in per_request),
            'calls': count_system_calls(proxy.pid, case.command(proxy, 1)),
            # Against ours in the same round: what disturbs one round disturbs both.
            'ratio': statistics.median(
                (ours[1] + ours[2]) / (theirs[1] + theirs[2])
                for ours, theirs in zip(samples['pando'], per_request)),
        })
    return rows


def load_table(case, rows):
    unit, scale = 'us/request', 1.0
    if case.per_gb:
        unit, scale = 's/GB', 1e-6 * 1e9 / FILES[case.path]
    lines = [f'| {case.title}, CPU {unit} | user | system | total | Pando : it | system calls |',
             '|---|---|---|---|---|---|']
    for row in rows:
        calls = '-' if row['calls'] is None else f'{row["calls"]:.2f}'
        ratio = '' if row['proxy'] == 'pando' else f'{row["ratio"]:.2f}'
        figures = ' | '.join(f'{row[key] * scale:.2f}' for key in ('user', 'system', 'total'))
        lines.append(f'| {row["proxy"]} | {figures} | {ratio} | {calls} |')
    return lines


def idle_table(proxies, count):
    lines = [f'| {count:,} idle clients | bytes each (PSS) |', '|---|---|']
    for proxy in proxies:
        IdleClients(proxy.port, 100).close()
        before = proportional_bytes(proxy.pid)
        clients = IdleClients(proxy.port, count)
        after = proportional_bytes(proxy.pid)
        clients.close()
        lines.append(f'| {proxy.name} | {(after - before) / count:.0f} |')
    return lines


def describe_machine():
    cpu = next((line.split(':', 1)[1].strip()
                for line in pathlib.Path('/proc/cpuinfo').read_text().splitlines()
                if line.startswith('model name')), platform.machine())
    return f'{os.cpu_count()} cores of {cpu}, Linux {platform.release().split("-")[0]}'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog='tests/bench/proxy')
    parser.add_argument('--rounds', type=int, default=5, help='of every case (default 5)')
    parser.add_argument('--seconds', type=int, default=3, help='a load in a round (default 3)')
    parser.add_argument('--quick', action='store_true', help='one round of 1 s, 1,000 idle clients')
    parser.add_argument('--case', action='append', choices=[*CASES, IDLE], help='only this one')
    parser.add_argument('--write', action='store_true', help=f'write docs/benchmarks/{REPORT.name}')
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error('--rounds and --seconds are at least 1')
    rounds, seconds, idle = options.rounds, options.seconds, 10_000
    if options.quick:
        rounds, seconds, idle = 1, 1, 1_000

    output = []

    def show(lines):
        for line in [*lines, '']:
            print(line, flush=True)
            output.append(line)

    with Bench() as bench:
        # Idle clients first: memory that a load has made a process take is kept, and hides theirs.
        for name in options.case or [IDLE, *CASES]:
            if name == IDLE:
                show(idle_table(bench.proxies[:3], idle))
                continue
            case = CASES[name]
            # The floor does not end TLS, and has no pool for clients that come once.
            able = [proxy for proxy in bench.proxies
                    if proxy.name != 'floor' or not (case.tls or case.anew)]
            show(load_table(case, measure_load(case, able, rounds, seconds)))
    if options.write:
        head = ['# What a request costs', '',
                f'`tests/bench/proxy --rounds {rounds} --seconds {seconds} --write`, '
                f'{datetime.date.today()}, {describe_machine()}.', '',
                *__doc__.strip().splitlines()[2:], '']
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text('\n'.join([*head, *output[:-1]]) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
