"""Are requests to uWSGI counted exactly, however it forks, recycles, reloads and ends its workers?

Needs uWSGI, which pip builds with a C compiler, and this package in the environment whose folder is given. uWSGI forks in
C, and Python is not told. Prints a line for each way of running it, and
ends with 1 if a line of the handler was counted more or less often than requests were answered.

    python tests/uwsgi_counts.py /tmp/environment [WORDS OF A CASE]
"""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

APPLICATION = '''\
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
MODULE = ["--module", "served", "--master", "--processes", "2"]
THREADS = "--enable-threads"
#: Name, arguments, number of requests, and what is done to it: "reload" halfway, "group": all processes get SIGTERM.
CASES = [
    ("module", [*MODULE, THREADS], 100, ""),
    ("module, each process gets SIGTERM", [*MODULE, THREADS], 100, "group"),
    ("module, no threads", MODULE, 100, ""),
    ("lazy", [*MODULE, THREADS, "--lazy-apps"], 100, ""),
    ("two threads", [*MODULE, "--threads", "2"], 100, ""),
    ("no master", ["--module", "served", "--processes", "2", "--threads", "2"], 100, "group"),
    ("py-call-osafterfork", [*MODULE, THREADS, "--py-call-osafterfork"], 100, ""),
    ("py-call-uwsgi-fork-hooks", [*MODULE, THREADS, "--py-call-uwsgi-fork-hooks"], 100, ""),
    ("recycled", [*MODULE, THREADS, "--max-requests", "100", "--min-worker-lifetime", "1"], 2000, ""),
    ("reloaded", [*MODULE, THREADS], 1000, "reload"),
    ("reloaded, lazy, recycled", [*MODULE, "--threads", "2", "--lazy-apps", "--max-requests", "100"], 1000, "reload"),
]


def ask(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def serve(uwsgi, folder, arguments, n, doing):
    """Return how many requests were answered, how many got no answer, and what was said."""
    (folder / "served.py").write_text(APPLICATION, encoding="utf-8")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {**os.environ, "INSTRUMENT": "1", "INSTRUMENT_FLUSH": "10"}
    log = folder / "log"
    command = [uwsgi, "--http-socket", f"127.0.0.1:{port}", "--die-on-term", *arguments]
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    answers = []
    try:
        while not ask(port):
            if process.poll() is not None:
                sys.exit(log.read_text(encoding="utf-8"))
            time.sleep(0.1)
        answers.append(True)

        def client():
            answers.extend(ask(port) for _ in range(n // 4))

        clients = [threading.Thread(target=client) for _ in range(4)]
        for one in clients:
            one.start()
        if doing == "reload":
            while len(answers) < n // 2:
                time.sleep(0.01)
            process.send_signal(signal.SIGHUP)
        for one in clients:
            one.join()
        time.sleep(3)  # a worker that is being recycled while uWSGI ends is begun again, and never ended
    finally:
        if doing == "group":
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
            time.sleep(1)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if "instrument:" in line]
    return answers.count(True), answers.count(False), said


def counts(folder):
    total, files = {}, sorted((folder / ".instrument").glob("*.sqlite"))
    for file in files:
        query = "SELECT line, count FROM line JOIN file ON file.id = line.file"
        connection = sqlite3.connect(file)
        for line, n in connection.execute(query):
            total[line] = total.get(line, 0) + n
        connection.close()
    return total, len(files)


def main(environment, *words):
    wrong = 0
    for name, arguments, n, doing in CASES:
        if not all(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            answered, lost, said = serve(f"{environment}/bin/uwsgi", Path(folder), arguments, n, doing)
            found, n_files = counts(Path(folder))
        handler = {found.get(line, 0) for line in (2, 5, 9, 10, 11)}
        exact = len(handler) == 1 and answered <= max(handler) <= answered + lost and found.get(4) == 200 * found[2]
        wrong += not exact or bool(said)
        print(f"{name}: {answered} answered, {lost} of unknown fate, counted {sorted(handler)}, {n_files} processes:",
              "exact" if exact else "WRONG", *said, flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
