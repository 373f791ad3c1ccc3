"""Hosts on this machine: network namespaces joined by a bridge in one more. Needs root."""
import os
import shutil
import subprocess

SUBNET = '10.77.1'  # only inside the namespaces, so it cannot meet a real network


def why_not():
    """Why hosts cannot be made here; '' when they can."""
    if os.geteuid() != 0:
        return 'needs root'
    if shutil.which('ip') is None:
        return 'needs the program ip (package iproute2)'
    name = f'pando-{os.getpid()}-probe'
    made = subprocess.run(['ip', 'netns', 'add', name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f'cannot make a network namespace: {made.stderr.strip()}'
    subprocess.run(['ip', 'netns', 'del', name], check=False)
    return ''


def _ip(*arguments):
    done = subprocess.run(['ip', *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f'ip {" ".join(arguments)}: {done.stderr.strip()}')


class Hosts:
    """Named hosts with the addresses 10.77.1.1, .2, ...; close() takes everything away."""

    def __init__(self, names):
        self._tag = f'pando-{os.getpid()}'
        self._made = []
        self.addresses = {}
        try:
            self._bridge = self._add('bridge')
            _ip('-n', self._bridge, 'link', 'add', 'bridge', 'type', 'bridge')
            _ip('-n', self._bridge, 'link', 'set', 'bridge', 'up')
            for number, name in enumerate(names, start=1):
                self._add_host(name, f'{SUBNET}.{number}')
        except BaseException:
            self.close()
            raise

    def _add(self, name):
        namespace = f'{self._tag}-{name}'
        _ip('netns', 'add', namespace)
        self._made.append(namespace)
        _ip('-n', namespace, 'link', 'set', 'lo', 'up')
        return namespace

    def _add_host(self, name, address):
        namespace = self._add(name)
        _ip('-n', self._bridge, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0',
            'netns', namespace)
        _ip('-n', self._bridge, 'link', 'set', name, 'master', 'bridge', 'up')
        _ip('-n', namespace, 'address', 'add', f'{address}/24', 'dev', 'eth0')
        _ip('-n', namespace, 'link', 'set', 'eth0', 'up')
        self.addresses[name] = address

    def prefix(self, name):
        """Before a command line: runs it on that host, with the same pid."""
        return ['ip', 'netns', 'exec', f'{self._tag}-{name}']

    def cut(self, name):
        """Pulls the cable, at the far end: the host itself does not notice."""
        _ip('-n', self._bridge, 'link', 'set', name, 'down')

    def join(self, name):
        _ip('-n', self._bridge, 'link', 'set', name, 'up')

    def block(self, name, other):
        """The host sends nothing to the other one any more; the rest of the network stays."""
        _ip('-n', f'{self._tag}-{name}', 'route', 'add', 'unreachable', self.addresses[other])

    def unblock(self, name, other):
        _ip('-n', f'{self._tag}-{name}', 'route', 'del', 'unreachable', self.addresses[other])

    def of_process(self, pid):
        """Name of the host the process runs on; None when it is gone or elsewhere."""
        try:
            namespace = os.stat(f'/proc/{pid}/ns/net').st_ino
        except OSError:
            return None
        for name in self.addresses:
            if os.stat(f'/run/netns/{self._tag}-{name}').st_ino == namespace:
                return name
        return None

    def close(self):
        for namespace in reversed(self._made):
            subprocess.run(['ip', 'netns', 'del', namespace], check=False)
        self._made.clear()
