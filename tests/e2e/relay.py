"""A wire between a client and a server that a test can cut just after a request went over it."""
import socket
import threading


class Relay:
    """Listens on a port of loopback. Once `marker` (bytes of a request) was passed on, nothing comes
    back over that connection any more: the server has the request, the client waits for an answer.
    cut() ends such connections; new ones are then passed on untouched."""

    def __init__(self, host, port, marker):
        self._server = (host, port)
        self._marker = marker
        self._lock = threading.Lock()
        self._held = []  # the client's ends
        self._open = []
        self._passing = False
        self.holding = threading.Event()
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.address = f'127.0.0.1:{self._listener.getsockname()[1]}'
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection(self._server, timeout=5)
            except OSError:
                client.close()  # as a server that is not there
                continue
            server.settimeout(None)
            held = threading.Event()
            with self._lock:
                self._open += [client, server]
                for source, target, forward in ((client, server, True), (server, client, False)):
                    thread = threading.Thread(target=self._pump,
                                              args=(source, target, forward, held, client),
                                              daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pump(self, source, target, forward, held, client):
        seen = b''
        while True:
            try:
                data = source.recv(65536)
                if data and forward:
                    seen = (seen + data)[-65536:]
                    if self._marker in seen and not self._passing and not held.is_set():
                        held.set()  # before the server can answer
                        with self._lock:
                            self._held.append(client)
                if data and (forward or not held.is_set()):
                    target.sendall(data)
                    if held.is_set():
                        self.holding.set()
            except OSError:
                data = b''
            if data:
                continue
            if forward or not held.is_set():
                self._end(source, target)
            return

    @staticmethod
    def _end(*sockets):
        for each in sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # ended by the other side

    def cut(self):
        self._passing = True
        with self._lock:
            self._end(*self._held)
            self._held = []

    def close(self):
        self._end(self._listener)
        self._listener.close()
        with self._lock:
            self._end(*self._open)
        for thread in self._threads:
            thread.join(5)
        for each in self._open:
            each.close()
