"""Check that a server under load loses no count, and measure the cost of counting.

A WSGI application under gunicorn, with four workers that are replaced after some hundred requests each, and an ASGI
application under uvicorn run plain and counted in turns. A client on this machine sends a known number of requests to
each. Halfway gunicorn is reloaded (HUP), and at the end both get SIGTERM. The script prints the throughput, and whether
each line of the handler was counted exactly once for each answered request.

    python benchmarks/servers.py
    python benchmarks/servers.py --requests 20000 --rounds 5 --env ~/.cache/instrument-servers
"""

import argparse
import http.client
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

from overhead import machine

ROOT = Path(__file__).resolve().parent.parent

WSGI = '''\
def work(n):
    total = 0
    for i in range(n):
        total += i % 7
    return total


def application(environ, start_response):
    body = str(work(200)).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
'''
ASGI = '''\
def work(n):
    total = 0
    for i in range(n):
        total += i % 7
    return total


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = str(work(200)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
'''
#: Lines of each application that run once for each request, and one that runs 200 times.
SERVERS = {
    "gunicorn": (WSGI, (2, 5, 9, 10, 11), ["-m", "gunicorn", "--workers", "4", "--max-requests", "250",
                                           "--max-requests-jitter", "50", "--log-level", "error"]),
    "uvicorn": (ASGI, (2, 5, 11, 12, 13), ["-m", "uvicorn", "--log-level", "error", "--no-access-log"]),
}
TIMES_200 = 4
CLIENTS = 4


def environment(folder):
    """Return the Python of an environment in *folder*, made if need be, with the servers and this package in it."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "gunicorn", "uvicorn", str(ROOT)], check=True,
                   stdout=subprocess.DEVNULL)
    return str(python)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port, process, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            sys.exit(f"the server ended with {process.returncode}")
        time.sleep(0.05)
    sys.exit(f"the server did not listen within {seconds} s")


class Client(threading.Thread):
    """Sends *n* requests, one after the other, each on until it is answered.

    `answered` counts the answers. A request that was sent, but whose answer was lost, may or may not have run: `lost`.
    """

    def __init__(self, port, n):
        super().__init__()
        self.port, self.n = port, n
        self.answered = self.lost = 0

    def run(self):
        connection = None
        while self.answered < self.n:
            was_kept = connection is not None
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                    connection.connect()
            except OSError:
                connection = None
                time.sleep(0.01)
                continue
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                # A kept connection that the server has closed meanwhile never got to a handler.
                if not (was_kept and isinstance(error, http.client.RemoteDisconnected)):
                    self.lost += 1
                connection.close()
                connection = None
                continue
            assert answer.status == 200, answer.status
            self.answered += 1
            if answer.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


def serve(python, server, folder, n, counted):
    """Run *server* for *n* requests; return requests a second, how many were answered, and how many lost."""
    source, _, command = SERVERS[server]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "served.py").write_text(source, encoding="utf-8")
    port = free_port()
    address = ["--bind", f"127.0.0.1:{port}"] if server == "gunicorn" else ["--host", "127.0.0.1", "--port", str(port)]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    if counted:
        variables |= {"INSTRUMENT": "1", "INSTRUMENT_FLUSH": "1"}
    process = subprocess.Popen([python, *command, *address, "served:application"], cwd=folder, env=variables)
    try:
        wait_for(port, process)
        clients = [Client(port, n // CLIENTS) for _ in range(CLIENTS)]
        begin = time.perf_counter()
        for client in clients:
            client.start()
        while server == "gunicorn" and sum(client.answered for client in clients) < n // 2:
            time.sleep(0.01)
        if server == "gunicorn":
            process.send_signal(signal.SIGHUP)
        for client in clients:
            client.join()
        seconds = time.perf_counter() - begin
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    if status not in (0, -signal.SIGTERM):
        sys.exit(f"{server} ended with {status}")
    answered = sum(client.answered for client in clients)
    return answered / seconds, answered, sum(client.lost for client in clients)


def counts(python, folder):
    """Return line → count of the application, summed over all processes with data in *folder*, and their number."""
    command = [python, "-m", "instrument", "combine", folder / ".instrument"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    total, n = {}, 0
    for file in (folder / ".instrument").glob("*.sqlite"):
        with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as data:
            n += data.execute("SELECT count(*) FROM process").fetchone()[0]
            for line, count in data.execute(
                "SELECT line, count FROM line JOIN file ON file.id = line.file WHERE path LIKE '%served.py'"
            ):
                total[line] = total.get(line, 0) + count
    return total, n


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=4000, help="for each run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs, plain and counted (default: %(default)s)")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--env", metavar="DIR", help="make the environment there, and use it again the next time")
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="servers-") as scratch:
        python = environment(Path(arguments.env or Path(scratch) / "env").expanduser().resolve())
        print(*machine(), sep="\n")
        for server in arguments.servers:
            _, once, _ = SERVERS[server]
            rates = {False: [], True: []}
            for round_ in range(arguments.rounds):
                for counted in (False, True) if round_ % 2 == 0 else (True, False):
                    folder = Path(scratch) / "run"
                    rate, answered, lost = serve(python, server, folder, arguments.requests, counted)
                    rates[counted].append(rate)
                    if not counted:
                        continue
                    found, n_processes = counts(python, folder)
                    numbers = {line: found.get(line, 0) for line in once}
                    exact = all(answered <= n <= answered + lost for n in numbers.values()) and (
                        found.get(TIMES_200, 0) == 200 * found.get(2, 0))
                    wrong += not exact
                    print(f"{server}: {answered} requests answered, {lost} of unknown fate; lines of the handler "
                          f"{sorted(set(numbers.values()))}, of its loop {found.get(TIMES_200, 0)}; "
                          f"{n_processes} processes: {'exact' if exact else 'WRONG'}")
            plain, counted = (statistics.median(rates[mode]) for mode in (False, True))
            ratios = sorted(a / b for a, b in zip(rates[False], rates[True], strict=True))
            print(f"{server}: {plain:.0f} requests a second plain, {counted:.0f} counted; plain/counted "
                  f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
