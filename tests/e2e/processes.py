"""Child processes of a test: started in their own session, known by pid, never left behind."""
import os
import pathlib
import select
import signal
import subprocess
import time

POLL_SECONDS = 0.05


def wait_until(condition, seconds, what):
    """The first truthy value of condition(), or an AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            detail = what() if callable(what) else what
            raise AssertionError(f'not within {seconds} s: {detail}')
        time.sleep(POLL_SECONDS)


class Daemon:
    """One run of one program; its output is appended to `log`."""

    def __init__(self, name, argv, log, env):
        self.name = name
        self.log = pathlib.Path(log)
        with open(self.log, 'ab') as out:
            self._popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                           env=env, start_new_session=True)
        self.pid = self._popen.pid

    def running(self):
        return self._popen.poll() is None

    def kill(self):
        """kill -9, and waits until it is gone."""
        self._popen.kill()
        self._popen.wait()

    def stop(self, seconds=20):
        """SIGTERM; the exit code. Killed, and an AssertionError, when it takes longer."""
        if self.running():
            self._popen.terminate()
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f'{self.name} did not stop within {seconds} s') from None


class Successor:
    """A daemon that another one started in its place: not a child of ours."""

    def __init__(self, name, pid, log):
        self.name, self.pid, self.log = name, pid, pathlib.Path(log)
        self._pidfd = os.pidfd_open(pid)

    def running(self):
        return not select.select([self._pidfd], [], [], 0)[0]

    def kill(self):
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._wait(20)

    def stop(self, seconds=20):
        """SIGTERM; killed, and an AssertionError, when it takes longer. Its exit code is not ours."""
        if self.running():
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
        if not self._wait(seconds):
            self.kill()
            raise AssertionError(f'{self.name} did not stop within {seconds} s')

    def _wait(self, seconds):
        return bool(select.select([self._pidfd], [], [], seconds)[0])


def marked_processes(mark):
    """{pid: environment} of the processes whose environment holds `mark` (b'NAME=value')."""
    found = {}
    for entry in os.listdir('/proc'):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            environment = pathlib.Path('/proc', entry, 'environ').read_bytes().split(b'\0')
        except OSError:  # ended, or somebody else's
            continue
        if mark in environment:
            pairs = (item.decode(errors='replace').partition('=') for item in environment if item)
            found[int(entry)] = {name: value for name, _, value in pairs}
    return found


def program_of(pid):
    """Name of the program the process runs; '' when it is gone."""
    try:
        return os.path.basename(os.readlink(f'/proc/{pid}/exe'))
    except OSError:
        return ''


def end_marked_processes(mark):
    """Kills what is left with that mark; returns what it was, for the test to complain about."""
    left = [f'{pid} {program_of(pid)}' for pid in marked_processes(mark)]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pids = marked_processes(mark)
        if not pids:
            break
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(POLL_SECONDS)
    return left
