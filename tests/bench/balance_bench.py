"""Throughput and tail latency in front of apps that do one thing at a time.

deploy/examples/hello blocks its process for 5 ms a request without using the CPU. 100 connections
each send the next request when the last one is answered. Measured in turn, in the same run:

  pando auto       concurrency: auto - the proxy finds how many requests an instance is good for
  pando 1          concurrency: 1
  pando unlimited  concurrency: unlimited - everything is passed on at once
  nginx            least_conn, in front of the same processes
  haproxy          leastconn, likewise
  haproxy max 1    leastconn with maxconn 1 per server, likewise
  node-cluster     Node's cluster module with as many workers of the same program
"""
import argparse
import datetime
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'e2e'), str(HERE.parent / 'tools')]
import clone_peers  # noqa: E402  (the path has to be set first)
from clone_bench import WARM_UP_SECONDS, machine, measure  # noqa: E402
from pando_cluster import HELLO_DIR, ROOT, Cluster, hello  # noqa: E402
from processes import wait_until  # noqa: E402

SERVICE_MS = 5
SLOW = ('[sh, -c, "[ $NODE_APP_INSTANCE = 0 ] && export SERVICE_MS=20; exec node server.js"]')


def spec(replicas, concurrency, slow):
    text = hello(replicas, extra=f'concurrency: {concurrency}', env={'SERVICE_MS': str(SERVICE_MS)})
    return text.replace('command: [node, server.js]', f'command: {SLOW}') if slow else text


def through_pando(cluster, replicas, concurrency, slow, options):
    cluster.apply(spec(replicas, concurrency, slow))
    wait_until(lambda: len(cluster.processes()) == replicas, 60, 'the surplus is stopped')
    # Another concurrency is another release, with new processes: Node has yet to compile what the peers' measurements
    # find compiled.
    measure(cluster.gateway_port, options)
    return measure(cluster.gateway_port, options)


def peers_directory(cluster, scenario):
    # nginx takes a blank in a path for the end of it.
    return cluster.dir / ('peers-' + re.sub('[^a-z0-9]+', '-', scenario))


def of_peers(cluster, replicas, options, scenario):
    addresses = [instance['address'] for instance in cluster.ask('ps')]
    directory = peers_directory(cluster, scenario)
    directory.mkdir()
    directory.chmod(0o755)
    results = {}
    with clone_peers.nginx(directory, addresses) as peer:
        results['nginx'] = measure(peer.port, options)
    with clone_peers.haproxy(directory, addresses) as peer:
        results['haproxy'] = measure(peer.port, options)
    limited = [f'{address} maxconn 1' for address in addresses]
    with clone_peers.haproxy(directory, limited) as peer:
        results['haproxy max 1'] = measure(peer.port, options)
    return results


def measure_scenario(cluster, scenario, replicas, slow, options):
    results = {}
    for concurrency in ('auto', '1', 'unlimited'):
        results[f'pando {concurrency}'] = through_pando(cluster, replicas, concurrency, slow, options)
    results.update(of_peers(cluster, replicas, options, scenario))
    if not slow:
        environment = {**os.environ, 'SERVICE_MS': str(SERVICE_MS)}
        with clone_peers.node_cluster(peers_directory(cluster, scenario), HELLO_DIR / 'server.js',
                                      replicas, environment) as peer:
            results['node-cluster'] = measure(peer.port, options)
    return results


def rows(scenario, results):
    return [f'| {scenario} | {name} | {got["rps"]:.0f} | {got["p50"]:.1f} | {got["p99"]:.1f} | '
            f'{got["p99"] / got["p50"]:.2f} | {got["failed"]} |' for name, got in results.items()]


def document(lines, ratio, options, command):
    return f"""# Balancing apps that do one thing at a time

{datetime.date.today().isoformat()}, {machine()}; everything on one machine, load included.

```
{command}
```

`deploy/examples/hello` blocks its process for {SERVICE_MS} ms a request without using the CPU. 100 connections each send the next request
when the last one is answered, {options.seconds} s a line after {WARM_UP_SECONDS} s of warm-up, in which `pando auto`, the default, finds the limit; the processes have
served as long a run before, for Node to have compiled them. nginx (`least_conn`) and
HAProxy (`leastconn`) stand in front of the very processes that Pando's agents run. In "8, one slow" one of eight takes 20 ms; "8, two
proxies" has two Pando proxies that know nothing of each other. Throughput of 8 over 1 with `pando auto`: {ratio:.2f}.

| processes | through | requests/s | p50 ms | p99 ms | p99/p50 | failed |
|---|---|---:|---:|---:|---:|---:|
""" + '\n'.join(lines) + '\n'


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=int, default=8, help='of each measurement (default 8)')
    parser.add_argument('--quick', action='store_true', help='3 s a measurement, 1 and 4 processes')
    parser.add_argument('--write', action='store_true', help='write docs/benchmarks/balance.md')
    options = parser.parse_args()
    if not 1 <= options.seconds <= 300:
        parser.error('--seconds is 1 to 300')
    if options.quick and options.write:
        parser.error('a quick run is nothing to publish')
    if options.quick:
        options.seconds = 3
    options.connections = 100
    return options


def main():
    options = parse_arguments()
    scenarios = [('1', 1, False), ('4', 4, False), ('8', 8, False), ('8, one slow', 8, True)]
    cluster, lines, automatic, failed = Cluster(), [], {}, 0
    try:
        cluster.start_all(agents=2)
        for scenario, replicas, slow in scenarios[:2] if options.quick else scenarios:
            results = measure_scenario(cluster, scenario, replicas, slow, options)
            automatic[scenario] = results['pando auto']['rps']
            failed += sum(got['failed'] for got in results.values())
            lines += rows(scenario, results)
            print('\n'.join(rows(scenario, results)), flush=True)
        if not options.quick:
            # Both listen on the same port; the kernel spreads the connections over them.
            cluster.start_proxy('edge-2')
            wait_until(lambda: cluster.count('proxies', state='synced') == 2, 20, 'both are synced')
            results = {f'pando {concurrency}': through_pando(cluster, 8, concurrency, False, options)
                       for concurrency in ('auto', '1', 'unlimited')}
            failed += sum(got['failed'] for got in results.values())
            lines += rows('8, two proxies', results)
            print('\n'.join(rows('8, two proxies', results)), flush=True)
    finally:
        complaints = cluster.close()
        cluster.remove_files()
    if options.write:
        (ROOT / 'docs' / 'benchmarks').mkdir(exist_ok=True)
        command = 'tests/bench/balance ' + ' '.join(sys.argv[1:])
        (ROOT / 'docs' / 'benchmarks' / 'balance.md').write_text(
            document(lines, automatic['8'] / automatic['1'], options, command), encoding='utf-8')
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints or failed else 0


if __name__ == '__main__':
    sys.exit(main())
