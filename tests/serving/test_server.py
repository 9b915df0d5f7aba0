"""The server: its address, its limits, and requests that are no correct ones."""

import socket
import threading
import time

import pytest

from instrument.errors import RequestError
from instrument.serving.server import Server
from instrument.serving.site import HEADERS, Response


@pytest.fixture
def server():
    """Yield a running server that answers each request with its target; connections may take one second."""
    with Server(0) as server:
        server.seconds, server.most_connections = 1.0, 3
        server.answer = lambda request: Response(200, "text/plain", request.target.encode())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def talk(server, data):
    """Send *data*, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        connection.sendall(data)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            pass
        return received


def test_only_the_loopback_address_is_bound(server):
    """Neither the other addresses of this machine nor IPv6 lead to the server."""
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.socket.family == socket.AF_INET


def test_a_port_in_use_is_named(server):
    """The message has the way out."""
    with pytest.raises(RequestError, match=rf"port {server.server_port} of 127\.0\.0\.1 .*in use.*--port"):
        Server(server.server_port)


def test_each_response_has_the_headers(server):
    """No response has others, such as the versions of Python and of the server."""
    head, _, body = talk(server, b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].endswith("200 OK")
    assert body == b"/page"
    expected = {**HEADERS, "Content-Type": "text/plain", "Content-Length": "5", "Connection": "close"}
    assert dict(line.split(": ", 1) for line in lines[1:]) == expected


@pytest.mark.parametrize(
    "data",
    [b"POST / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
     b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n"],
)  # fmt: skip
def test_other_requests_are_refused_without_content(server, data):
    """Another method, another protocol, and a request that is too long. The end of a connection is a refusal, too."""
    answer = talk(server, data)
    assert b"200" not in answer.split(b"\r\n")[0]
    assert not answer.partition(b"\r\n\r\n")[2]
    assert b"Python" not in answer


def test_slow_clients_do_not_stop_the_server(server):
    """Connections that send nothing, or a byte from time to time, are closed in time; then others are served."""
    port = server.server_port
    slow = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(5)]
    ends = time.monotonic() + 15
    answer = b""
    while not answer.endswith(b"/page") and time.monotonic() < ends:
        for each in slow:
            try:
                each.sendall(b"G")
            except OSError:
                pass
        time.sleep(0.1)
        try:
            answer = talk(server, b"GET /page HTTP/1.1\r\n\r\n")
        except OSError:  # the server has closed it: there are too many
            continue
    for each in slow:
        each.close()
    assert answer.endswith(b"/page")
    assert threading.active_count() < 10


def test_idle_connections_shut_nobody_out(server, monkeypatch):
    """A new connection takes the place of the oldest one at once, and that one is ended: threads stay few."""
    server.seconds = 60.0
    monkeypatch.setattr(server.RequestHandlerClass, "timeout", 60.0)
    idle = [socket.create_connection(("127.0.0.1", server.server_port), timeout=20) for _ in range(10)]
    for _ in range(3):
        assert talk(server, b"GET /page HTTP/1.1\r\n\r\n").endswith(b"/page")
    assert [each.recv(1) for each in idle[:7]] == [b""] * 7
    for each in idle:
        each.close()


def test_many_clients_are_served_one_after_another(server):
    """A client that is turned away can come again."""
    answers = []

    def come():
        for _ in range(200):
            try:
                answer = talk(server, b"GET /page HTTP/1.1\r\n\r\n")
            except OSError:
                answer = b""
            if answer.endswith(b"/page"):
                answers.append(answer)
                return
            time.sleep(0.02)

    threads = [threading.Thread(target=come) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20
