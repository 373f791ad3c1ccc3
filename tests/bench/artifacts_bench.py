"""The most memory each program had resident while a large artifact went through it.

A directory of random bytes, which zstd cannot make smaller, is pushed and then applied with two
instances on two agents of this machine.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / 'e2e')]
from pando_cluster import BIN, HELLO_DIR, Cluster  # noqa: E402  (the path has to be set first)

MIB = 1 << 20


def peak_mib(pid):
    status = pathlib.Path(f'/proc/{pid}/status').read_text(encoding='ascii')
    return int(re.search(r'VmHWM:\s*(\d+) kB', status).group(1)) / 1024


def ctl(cluster, what, *arguments):
    """Runs ctl and prints how long it took, and the most memory it had."""
    began = time.monotonic()
    argv = [str(BIN / 'ctl'), '--controller', cluster.controller_address, '--timeout', '10m', '-q',
            *arguments]
    child = subprocess.Popen(argv, cwd=cluster.dir, env=cluster.environment(),
                             stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise RuntimeError(f'ctl {" ".join(arguments)} failed')
    print(f'{what:<34}{time.monotonic() - began:8.1f} s, ctl {usage.ru_maxrss / 1024:.1f} MiB at most',
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mib', type=int, default=1024, help='size of the directory')
    options = parser.parse_args()
    cluster = Cluster()
    try:
        cluster.start_all(agents=2)
        code = cluster.dir / 'code'
        code.mkdir()
        (code / 'server.js').write_bytes((HELLO_DIR / 'server.js').read_bytes())
        with open(code / 'large', 'wb') as large:
            for _ in range(options.mib):
                large.write(os.urandom(MIB))
        daemons = ('controller', 'node-1', 'node-2')
        before = {name: peak_mib(cluster[name].pid) for name in daemons}
        ctl(cluster, f'push {options.mib} MiB', 'push', 'code')
        ctl(cluster, 'push again (nothing to send)', 'push', 'code')
        (cluster.dir / 'app.yaml').write_text(
            'name: large\ncommand: [node, server.js]\nsource: ./code\nreplicas: 2\n',
            encoding='utf-8')
        ctl(cluster, 'apply until both nodes serve', 'apply', '-f', 'app.yaml')
        for name in daemons:
            print(f'{name:<34}{peak_mib(cluster[name].pid):8.1f} MiB at most, '
                  f'{before[name]:.1f} MiB before')
    finally:
        cluster.close()
        cluster.remove_files()


if __name__ == '__main__':
    main()
