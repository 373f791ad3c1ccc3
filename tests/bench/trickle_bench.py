"""Slow, steady traffic to a Node.js server through a Pando cluster: each client waits 4.5 to 5.5 s
between two requests, so that the proxy's kept connections are reused just when the server's
keepAliveTimeout of 5 s closes them. Half of the requests are POSTs, which nobody may send twice."""
import argparse
import collections
import http.client
import pathlib
import random
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'e2e')]
from pando_cluster import Cluster, hello  # noqa: E402  (the path has to be set first)


def client(port, seed, end, outcomes, lock):
    rng = random.Random(seed)
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
    while (pause := rng.uniform(4.5, 5.5)) < end - time.monotonic():
        time.sleep(pause)
        post = rng.random() < 0.5
        try:
            connection.request('POST' if post else 'GET', '/echo' if post else '/whoami',
                               body=b'x' * 100 if post else None)
            response = connection.getresponse()
            response.read()
            outcome = str(response.status)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            outcome = type(error).__name__
        with lock:
            outcomes[outcome] += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument('--clients', type=int, default=100)
    options = parser.parse_args()
    if not 0.1 <= options.minutes <= 120 or not 1 <= options.clients <= 1000:
        parser.error('--minutes is 0.1 to 120, --clients 1 to 1000')
    cluster = Cluster()
    outcomes, lock = collections.Counter(), threading.Lock()
    try:
        cluster.start_all()
        cluster.apply(hello(2))
        end = time.monotonic() + options.minutes * 60
        threads = [threading.Thread(target=client,
                                    args=(cluster.gateway_port, seed, end, outcomes, lock))
                   for seed in range(options.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        complaints = cluster.close()
        cluster.remove_files()
    total = sum(outcomes.values())
    print(f'{total} requests in {options.minutes:g} min from {options.clients} clients, each 4.5 to '
          f'5.5 s after the last: ' + ', '.join(f'{k}: {v}' for k, v in sorted(outcomes.items())))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints or total == 0 or outcomes['200'] != total else 0


if __name__ == '__main__':
    sys.exit(main())
