"""The load client (tests/tools/load.js) in the background of a test."""
import json
import os
import subprocess
import tempfile

from processes import wait_until

LOAD_JS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tools', 'load.js')


class Load:
    """Requests flow inside the with block; afterwards `result` holds what became of them."""

    def __init__(self, url, connections=8, options=(), prefix=()):
        self._dir = tempfile.TemporaryDirectory(prefix='pando-load-')
        self._ready = os.path.join(self._dir.name, 'ready')
        self._stop = os.path.join(self._dir.name, 'stop')
        self._argv = [*prefix, 'node', LOAD_JS, '--url', url, '--connections', str(connections),
                      '--duration', '120', '--ready-file', self._ready, '--stop-file', self._stop,
                      *options]
        self._popen = None
        self.result = None

    def __enter__(self):
        self._popen = subprocess.Popen(self._argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True, start_new_session=True)
        try:
            wait_until(self._has_begun, 20, 'the first answer to the load client')
        except BaseException:
            self._end()
            raise
        return self

    def _has_begun(self):
        if self._popen.poll() is not None:
            raise AssertionError(f'load.js ended: {self._popen.communicate()[1]}')
        return os.path.exists(self._ready)

    def __exit__(self, kind, value, traceback):
        out, errors = self._end()
        if kind is None:
            if self._popen.returncode != 0:
                raise AssertionError(f'load.js failed: {errors}')
            self.result = json.loads(out)

    def _end(self):
        with open(self._stop, 'w', encoding='ascii'):
            pass
        try:
            return self._popen.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.communicate()
        finally:
            self._dir.cleanup()
