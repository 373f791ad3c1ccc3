"""How much faster is it with 8?

A plain Node.js server whose every request blocks its process for 5 ms without using the CPU, cloned 1,
2, 4, 8 and 16 times over two agents on this machine, under a closed-loop load of 100 connections.
Measured in turn, at each number of replicas, in the same run:

  pando         the Pando cluster: the load goes through its proxy
  nginx         least_conn, in front of the same processes
  haproxy       leastconn, in front of the same processes
  node-cluster  Node's cluster module with as many workers of the same program
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'e2e'), str(HERE.parent / 'tools')]
import clone_peers  # noqa: E402  (the path has to be set first)
import svg_plot  # noqa: E402
from pando_cluster import HELLO_DIR, ROOT, Cluster, hello  # noqa: E402
from processes import wait_until  # noqa: E402

REPLICAS = (1, 2, 4, 8, 16)
SERVICE_MS = 5
WARM_UP_SECONDS = 5  # for Pando's proxy to find what an instance is good for; the same for all
CONTENDERS = ('pando', 'nginx', 'haproxy', 'node-cluster')
TITLES = {'pando': 'Pando', 'nginx': 'nginx', 'haproxy': 'HAProxy', 'node-cluster': 'Node cluster'}
DOCUMENTS = ROOT / 'docs' / 'benchmarks'


def measure(port, options):
    done = subprocess.run(
        ['node', HERE.parent / 'tools' / 'load.js', '--url', f'http://127.0.0.1:{port}/work',
         '--connections', str(options.connections), '--duration', str(options.seconds + WARM_UP_SECONDS),
         '--warmup', str(WARM_UP_SECONDS)], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    return {'rps': result['rps'], 'p50': result['p50_ms'], 'p99': result['p99_ms'],
            'failed': result['failed']}


def measure_all(cluster, replicas, options):
    cluster.ctl('scale', 'hello', '--replicas', replicas)
    wait_until(lambda: len(cluster.processes()) == replicas, 60, 'the surplus is stopped')
    addresses = [instance['address'] for instance in cluster.ask('ps')]
    nodes = {instance['node'] for instance in cluster.ask('ps')}
    if replicas > 1 and len(nodes) != 2:
        raise RuntimeError(f'the instances are on {sorted(nodes)} only')
    results = {'pando': measure(cluster.gateway_port, options)}
    directory = cluster.dir / f'peers-{replicas}'
    directory.mkdir()
    directory.chmod(0o755)
    for start in (clone_peers.nginx, clone_peers.haproxy):
        with start(directory, addresses) as peer:
            results[peer.name] = measure(peer.port, options)
    environment = {**os.environ, 'SERVICE_MS': str(SERVICE_MS)}
    with clone_peers.node_cluster(directory, HELLO_DIR / 'server.js', replicas,
                                  environment) as peer:
        results[peer.name] = measure(peer.port, options)
    return results


def table(results):
    lines = ['| replicas | through | requests/s | speed-up | p50 ms | p99 ms | failed |',
             '|---:|---|---:|---:|---:|---:|---:|']
    for replicas, of_replicas in results.items():
        for name in CONTENDERS:
            got, one = of_replicas[name], results[REPLICAS[0]][name]
            lines.append(f'| {replicas} | {TITLES[name]} | {got["rps"]:.0f} | '
                         f'{got["rps"] / one["rps"]:.2f} | {got["p50"]:.1f} | {got["p99"]:.1f} | '
                         f'{got["failed"]} |')
    return '\n'.join(lines) + '\n'


def picture(results, options):
    ticks = [(replicas, str(replicas)) for replicas in results]

    def series(key, factor=1.0):
        return [(TITLES[name], [(replicas, of[name][key] * factor)
                                for replicas, of in results.items()]) for name in CONTENDERS]

    charts = [('Requests per second', series('rps'), ''),
              ('Median latency', series('p50', 0.001), 's'),
              ('p99 latency', series('p99', 0.001), 's')]
    parts = [svg_plot.chart(title, values, x=number * 430, width=420, height=300, x_ticks=ticks,
                            log_x=True, unit=unit, x_label='replicas', dots=True,
                            y_label=f'{options.connections} connections')
             for number, (title, values, unit) in enumerate(charts)]
    return svg_plot.document(3 * 430, 310, parts)


def machine():
    model = next((line.split(':', 1)[1].strip()
                  for line in pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
                  if line.startswith('model name')), platform.machine())
    node = subprocess.run(['node', '--version'], capture_output=True, text=True, check=True)
    return (f'{os.cpu_count()} CPUs ({model}), Linux {platform.release().split("-")[0]}, '
            f'Node.js {node.stdout.strip()}')


def other_work(load_before):
    """Figures made beside other work say so."""
    if load_before < 0.5:
        return ''
    return (f' Other work had the machine at a load of {load_before:.1f} before the run and went on '
            'beside it: compare the lines with each other, not with other runs.')


def document(results, options, command, load_before):
    today = datetime.date.today().isoformat()
    one, four = results[1]['pando'], results[4]['pando']
    return f"""# Cloning a blocking app

{today}, {machine()}; everything on one machine, load included.{other_work(load_before)}

```
{command}
```

`deploy/examples/hello` blocks its process for {SERVICE_MS} ms a request without using the CPU, so one process cannot answer more
than {1000 // SERVICE_MS} requests a second. {options.connections} connections each send the next request when the last one is answered, {options.seconds} s
a line after {WARM_UP_SECONDS} s of warm-up. nginx (`least_conn`) and HAProxy (`leastconn`) stand in front of the very processes that Pando's two agents run;
Node's cluster module runs as many workers of the same program.

From 1 to 4 replicas, Pando goes from {one['rps']:.0f} to {four['rps']:.0f} requests/s ({four['rps'] / one['rps']:.2f} times), p50/p99 from
{one['p50']:.0f}/{one['p99']:.0f} ms to {four['p50']:.0f}/{four['p99']:.0f} ms.

{table(results)}
![requests per second, median and p99 latency by replicas](clone.svg)
"""


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=int, default=8, help='of each measurement (default 8)')
    parser.add_argument('--connections', type=int, default=100, help='default 100')
    parser.add_argument('--quick', action='store_true', help='2 s a measurement, up to 4 replicas')
    parser.add_argument('--write', action='store_true',
                        help='write docs/benchmarks/clone.md and clone.svg')
    options = parser.parse_args()
    if not 1 <= options.seconds <= 300 or not 1 <= options.connections <= 1000:
        parser.error('--seconds is 1 to 300, --connections 1 to 1000')
    if options.quick and options.write:
        parser.error('a quick run is nothing to publish')
    if options.quick:
        options.seconds = 2
    return options


def main():
    options = parse_arguments()
    load_before = os.getloadavg()[0]
    cluster = Cluster()
    results = {}
    try:
        cluster.start_all(agents=2)
        cluster.apply(hello(1, env={'SERVICE_MS': str(SERVICE_MS)}))
        for replicas in REPLICAS[:3] if options.quick else REPLICAS:
            results[replicas] = measure_all(cluster, replicas, options)
            for name in CONTENDERS:
                got = results[replicas][name]
                print(f'{replicas:3} {TITLES[name]:13} {got["rps"]:8.0f} requests/s   p50 '
                      f'{got["p50"]:7.1f} ms   p99 {got["p99"]:7.1f} ms   failed {got["failed"]}',
                      flush=True)
    finally:
        complaints = cluster.close()
        cluster.remove_files()
    if options.write:
        DOCUMENTS.mkdir(exist_ok=True)
        command = 'tests/bench/clone ' + ' '.join(sys.argv[1:])
        (DOCUMENTS / 'clone.md').write_text(
            document(results, options, command, load_before), encoding='utf-8')
        (DOCUMENTS / 'clone.svg').write_text(picture(results, options), encoding='utf-8')
    failed = sum(got['failed'] for of in results.values() for got in of.values())
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints or failed else 0


if __name__ == '__main__':
    sys.exit(main())
