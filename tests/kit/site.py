"""A web server on this machine, in a thread."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Site(ThreadingHTTPServer):
    """A server whose answers stand in a table, by path with query, else by path: status, headers, body."""

    daemon_threads = True
    request_queue_size = 128  # with five, as it comes, who connects at once with others may wait a second for another try

    def __init__(self, *, certificate: Path | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        """What was posted."""
        self.release = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet: clients that hang up are what some tests are about."""

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        status, headers, body = self._answer()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.path == "/slow":
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"a")
            self.wfile.flush()
            self.server.release.wait()
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def _answer(self) -> tuple[int, dict[str, str], bytes]:
        pages = self.server.pages
        return pages.get(self.path) or pages.get(self.path.partition("?")[0]) or (404, {}, b"")

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def running(server: Site) -> Iterator[Site]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
