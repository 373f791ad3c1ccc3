"""Users of an app who note which release answered them, and with what status."""
import http.client
import threading


class Visitors:
    """So many keep-alive connections, each with its next request when the last one is answered.

    Inside the with block requests flow; `answers` is a list of (revision, status) in their order.
    """

    def __init__(self, port, connections=8, path='/'):
        self.answers = []
        self._port = port
        self._path = path
        self._stop = threading.Event()
        self._broken = []
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, value, traceback):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if kind is None and self._broken:
            raise AssertionError(f'{len(self._broken)} connections broke: {self._broken[0]!r}')

    def _run(self):
        connection = http.client.HTTPConnection('127.0.0.1', self._port, timeout=20)
        try:
            while not self._stop.is_set():
                self.answers.append(ask(connection, self._path))
        except (OSError, http.client.HTTPException) as broken:
            self._broken.append(broken)
        finally:
            connection.close()


def ask(connection, path='/'):
    """(revision, status) of one request."""
    connection.request('GET', path)
    response = connection.getresponse()
    response.read()
    return int(response.headers['X-Revision']), response.status
