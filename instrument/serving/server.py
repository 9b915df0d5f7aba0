"""Listens for requests on the loopback address, and has a function answer them.

The number of threads is bounded, and so is the time of each connection. So slow and many clients do not stop the
server.
"""

from __future__ import annotations

import http.server
import socket
import threading
from time import monotonic

from instrument.errors import RequestError
from instrument.serving.site import HEADERS, REFUSED, Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: The only address that the server listens on.
HOST = "127.0.0.1"


class Server(http.server.ThreadingHTTPServer):
    """A server on *port* of the loopback address; a free port if that is 0. `answer` answers the requests.

    Raise RequestError if the port cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    #: Connections that are served at the same time, and seconds that each may take.
    most_connections = 24
    seconds = 10.0

    def __init__(self, port: int) -> None:
        self.answer: Callable[[Request], Response] = lambda _: REFUSED
        self._lock = threading.Lock()
        #: The open connections, each with the time at which it began.
        self._open: dict[socket.socket, float] = {}
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            raise RequestError(
                f"port {port} of {HOST} cannot be used: {error.strerror or error}; name another one with --port, "
                "or leave --port out for a free one"
            ) from error

    def server_bind(self) -> None:
        """Bind the socket, without a search for the name of this machine."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection in a thread of its own. If there are too many, end the oldest one.

        A page takes milliseconds. So the oldest connection is one that sends nothing.
        """
        with self._lock:
            oldest = next(iter(self._open)) if len(self._open) >= self.most_connections else None
            if oldest is not None:
                del self._open[oldest]
            self._open[request] = monotonic()
        if oldest is not None:
            _end(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End the connections that take too long; `serve_forever` calls this each half second."""
        now = monotonic()
        with self._lock:
            late = [each for each, began in self._open.items() if now - began > self.seconds]
        for each in late:
            _end(each)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: the client has closed the connection."""
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _end(connection: socket.socket) -> None:
    """End *connection*: its thread then closes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads one request from a connection, and writes the response. It knows no method but GET."""

    server: Server
    timeout = 5.0
    default_request_version = "HTTP/1.0"

    def do_GET(self) -> None:
        """Answer the request."""
        self._send(self.server.answer(Request(self.command, self.path, self.headers.items())))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that has an error, or another method than GET, without a page."""
        self._send(REFUSED)

    def log_message(self, *args: Any) -> None:
        """Write no log: its lines would have the token."""

    def _send(self, response: Response) -> None:
        self.close_connection = True
        self.send_response_only(response.status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(response.body)
