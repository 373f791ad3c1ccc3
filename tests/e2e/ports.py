"""Ports for tests that run at the same time: each holds a locked block of them.

Blocks lie below the ports the kernel gives to clients, so that a connection of somebody else's
never has one of them.
"""
import fcntl
import os
import socket
import tempfile

FIRST_PORT = 11000
BLOCK_SIZE = 200
BLOCKS = 80


def is_free(port, address='127.0.0.1'):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


class PortBlock:
    """Hands out free ports until close()."""

    def __init__(self):
        directory = os.path.join(tempfile.gettempdir(), f'pando-e2e-ports-{os.getuid()}')
        os.makedirs(directory, exist_ok=True)
        for block in range(BLOCKS):
            self._file = open(os.path.join(directory, str(block)), 'w', encoding='ascii')
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                continue
            self._next = FIRST_PORT + block * BLOCK_SIZE
            self._end = self._next + BLOCK_SIZE
            return
        raise AssertionError('all blocks of ports are in use')

    def take(self):
        while self._next < self._end:
            port = self._next
            self._next += 1
            if is_free(port):
                return port
        raise AssertionError('no free port left')

    def take_range(self, size):
        """(first, last); some of them may be taken by others."""
        first = self._next
        self._next += size
        if self._next > self._end:
            raise AssertionError('no ports left')
        return first, first + size - 1

    def close(self):
        self._file.close()  # the lock goes with it
