"""What the agent and its shims cost, with 0 to 300 instances: memory (RSS, and PSS, which counts
shared pages by their share), the agent's CPU time at rest with a probe over HTTP per instance and second, how soon
after a kill -9 it has all instances again; how long a start, in its parts, a stop and the news of an exit take; and how
much log a shim writes per second of CPU time, with every line accounted for.

The instances do nothing but answer. Agent, shim and controller are the real programs.
"""
import argparse
import contextlib
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'e2e')]
from clone_bench import machine  # noqa: E402  (the path has to be set first)
from pando_cluster import BIN, ROOT, Cluster  # noqa: E402
from processes import wait_until  # noqa: E402

TESTS = BIN.parent / 'tests'
APP = TESTS / 'agent_test_app'
LINE_BYTES = 100
PORTS = (18000, 18999)  # more than the tests' own blocks have


def memory(pid):
    """(RSS, PSS) in KiB."""
    values = {}
    for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()[1:]:
        name, _, rest = line.partition(':')
        values[name] = int(rest.split()[0])
    return values['Rss'], values['Pss']


def cpu_seconds(pid, thread='*'):
    """Of the threads that live: what the scheduler counted, for ticks miss what is done between them."""
    tasks = pathlib.Path(f'/proc/{pid}/task').glob(f'{thread}/schedstat')
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def shims(cluster):
    """{instance directory: pid of its shim}"""
    found = {}
    for path in cluster.dir.glob('node-1/instances/*/run'):
        record = dict(line.split('=', 1) for line in path.read_text().splitlines())
        found[path.parent] = int(record['shim_pid'])
    return found


def answers(port):
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=10) as answer:
            return answer.read().decode()
    except (OSError, urllib.error.URLError):
        return ''


def ready(port):
    for line in answers(port).splitlines():
        if line.startswith('pando_agent_instances{phase="ready"}'):
            return float(line.rpartition(' ')[2])
    return -1


def with_instances(cluster, count, rest_seconds):
    """One row of the table."""
    if count > 0:
        cluster.ctl('scale', 'idle', '--replicas', count)
    wait_until(lambda: ready(cluster.http_ports['node-1']) == count, 120, f'{count} are ready')
    agent = cluster['node-1']
    # The first thread probes; others read usage, and speak with the controller.
    before, loop_before, began = cpu_seconds(agent.pid), cpu_seconds(agent.pid, agent.pid), time.monotonic()
    time.sleep(rest_seconds)  # the measured time itself, not a wait for something
    took = time.monotonic() - began
    share = (cpu_seconds(agent.pid) - before) / took
    loop_share = (cpu_seconds(agent.pid, agent.pid) - loop_before) / took
    rss, pss = memory(agent.pid)
    each = [memory(pid) for pid in shims(cluster).values()]

    agent.kill()
    began = time.monotonic()
    cluster.start('node-1')
    # The first answer comes when all that ran is taken over.
    while ready(cluster.http_ports['node-1']) < count:
        if time.monotonic() - began > 60:
            raise AssertionError(f'{count} instances are not taken over')
    adoption = time.monotonic() - began
    wait_until(lambda: cluster.count('nodes', state='ready') == 1, 60, 'the agent is back')
    return {'count': count, 'rss': rss, 'pss': pss, 'cpu': share, 'loop_cpu': loop_share, 'adoption': adoption,
            'shim_rss': statistics.median(each_rss for each_rss, _ in each) if each else None,
            'shim_pss': statistics.median(each_pss for _, each_pss in each) if each else None}


def log_throughput(cluster, lines):
    """(bytes per second of the shim's CPU time, lines missing among those that are kept)"""
    cluster.apply(f'name: chatty\ncommand: ["{APP}", listen, lines, "{lines}", "{LINE_BYTES}", '
                  'err, done, wait]\nhealth: {interval: 200ms}\n')
    directory = next(path for path in shims(cluster) if path.name.startswith('chatty'))
    shim = shims(cluster)[directory]

    def kept(stream):
        texts = []
        for path in directory.glob('out.log*'):
            with contextlib.suppress(FileNotFoundError):  # rotated away meanwhile
                texts.append(path.read_text(errors='replace'))
        lines_of_it = [line.split(' ', 2) for text in texts for line in text.splitlines()]
        return [parts[2] for parts in lines_of_it if len(parts) == 3 and parts[1] == stream]

    wait_until(lambda: 'done' in kept('e'), 300, 'all is written')
    used = cpu_seconds(shim)
    numbers = sorted(int(line.split()[0]) for line in kept('o') if line[:1].isdigit())
    # Old files are dropped by design: of those that are kept, none may be missing, up to the last.
    missing = lines - numbers[0] - len(numbers)
    return lines * LINE_BYTES / used, missing


def latencies(count):
    done = subprocess.run([TESTS / 'agent_bench', BIN / 'pando-shim', APP, str(count)],
                          capture_output=True, text=True, check=True, timeout=600)
    return json.loads(done.stdout)


def kib(value):
    return '' if value is None else f'{value:,.0f}'


def report(rows, times, throughput, missing, load, command):
    table = '\n'.join(
        f'| {row["count"]} | {kib(row["rss"])} | {kib(row["pss"])} | {100 * row["cpu"]:.2f} | {100 * row["loop_cpu"]:.2f} | '
        f'{1000 * row["adoption"]:.0f} | {kib(row["shim_rss"])} | {kib(row["shim_pss"])} |'
        for row in rows)
    kinds = {'order': 'start: from new orders, synced to the disk, to the app executed',
             'start': 'of that: port, group, shim and app, to the app executed',
             'launch': 'of that: in the agent, to the shim executed',
             'stop': 'stop: from the order to nothing left',
             'exit': 'exit: from the SIGKILL to the agent being told'}
    latency = '\n'.join(f'| {words} | {times[kind]["min"]:.2f} | {times[kind]["p50"]:.2f} | {times[kind]["p99"]:.2f} | '
                        f'{times[kind]["max"]:.2f} |' for kind, words in kinds.items())
    together = times['together']['max']
    groups = 'with' if times['groups'] else 'without'
    note = f'The load was {load:.1f} before the run.'
    if load > os.cpu_count() / 2:
        note += ' Other work went on beside it: where that takes the processors, latencies are mostly waiting for one.'
    return f"""# What the agent costs

{datetime.date.today().isoformat()}, {machine()}; everything on one machine, {groups} control groups.
{note}

```
{command}
```

Instances that only answer, each probed over HTTP every second. PSS counts shared pages by their share. Of the agent's CPU time, the
thread that probes has its own column; the rest reads the instances' usage, and speaks with the controller.

| instances | agent RSS KiB | PSS KiB | agent CPU at rest, % of a core | of that, probing | taken over after kill -9, ms | shim RSS KiB | PSS KiB |
|---:|---:|---:|---:|---:|---:|---:|---:|
{table}

| latency, ms | min | p50 | p99 | max |
|---|---:|---:|---:|---:|
{latency}

100 starts at once: all run after {together:.0f} ms. A start and a stop together take {times["cpu"]:.2f} ms of CPU time, of agent, shim and kernel. What is above that is waiting: for a processor
(the minimum is what it takes when one is free), and at a stop for the disk, where the exit is recorded before the instance counts as ended. A start makes eight
files: where many were deleted within the last minutes, as beside a compiler's temporary ones, ext4 takes twice the CPU time for them (`TMPDIR` says where).

Log: {throughput / 1e6:.0f} MB per second of the shim's CPU time, in lines of {LINE_BYTES} bytes; lines missing: {missing}.
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='0 and 10 instances, few rounds')
    parser.add_argument('--write', action='store_true', help='write docs/benchmarks/agent.md')
    return parser.parse_args()


def main():
    options = parse_arguments()
    counts, rest, rounds, lines = (0, 10, 100, 200, 300), 10, 300, 1_000_000
    if options.quick:
        counts, rest, rounds, lines = (0, 10), 2, 30, 100_000
    load = os.getloadavg()[0]
    times = latencies(rounds)
    cluster = Cluster()
    try:
        cluster.start_controller()
        cluster.start_agent(port_range=PORTS)
        wait_until(lambda: cluster.count('nodes', state='ready') == 1, 60, 'the agent is ready')
        rows = [with_instances(cluster, 0, rest)]
        cluster.apply(f'name: idle\ncommand: ["{APP}", http]\nhealth: {{path: /healthz, interval: 1s}}\n')
        rows += [with_instances(cluster, count, rest) for count in counts if count > 0]
        cluster.ctl('rm', 'idle', '-y')
        throughput, missing = log_throughput(cluster, lines)
    finally:
        complaints = cluster.close()
        cluster.remove_files()
    place = f'TMPDIR={os.environ["TMPDIR"]} ' if 'TMPDIR' in os.environ else ''
    text = report(rows, times, throughput, missing, load, ' '.join([place + 'tests/bench/agent', *sys.argv[1:]]))
    print(text)
    if options.write:
        (ROOT / 'docs' / 'benchmarks' / 'agent.md').write_text(text, encoding='utf-8')
    if complaints or missing:
        sys.exit(f'{missing} lines are missing; {complaints}')


if __name__ == '__main__':
    main()
