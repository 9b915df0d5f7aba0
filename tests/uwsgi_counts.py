"""Check that requests to uWSGI are counted exactly, however uWSGI forks, recycles, reloads and ends its workers.

Needs uWSGI and this package in the environment whose folder is given; pip builds uWSGI with a C compiler. uWSGI forks in
C, without Python's fork hooks. The script prints a line for each case. The exit status is 1 if a line of the handler
was counted more or less often than requests were answered.

    python tests/uwsgi_counts.py /tmp/environment [WORDS OF A CASE]
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

from processes import connect, data_files

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
#: Name, arguments, number of requests, and an action. "reload": reload halfway. "group": send SIGTERM to all processes.
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


def request(port):
    """Send a request to *port*; return whether it was answered."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def serve(uwsgi, folder, arguments, n, action):
    """Run uWSGI for *n* requests; return the number of answers, of requests without, and the package's messages."""
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
        while not request(port):
            if process.poll() is not None:
                sys.exit(log.read_text(encoding="utf-8"))
            time.sleep(0.1)
        answers.append(True)

        def client():
            answers.extend(request(port) for _ in range(n // 4))

        clients = [threading.Thread(target=client) for _ in range(4)]
        for one in clients:
            one.start()
        if action == "reload":
            while len(answers) < n // 2:
                time.sleep(0.01)
            process.send_signal(signal.SIGHUP)
        for one in clients:
            one.join()
        time.sleep(3)  # uWSGI starts a worker again that is being recycled while uWSGI ends, and never ends it
    finally:
        if action == "group":
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
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return answers.count(True), answers.count(False), [line for line in lines if "instrument:" in line]


def counts(folder):
    """Return the sum of the counts in the data files of *folder*, by line, and the number of files."""
    total, files = {}, data_files(folder / ".instrument")
    for file in files:
        query = "SELECT line, count FROM line JOIN file ON file.id = line.file"
        connection = connect(file)
        for line, n in connection.execute(query):
            total[line] = total.get(line, 0) + n
        connection.close()
    return total, len(files)


def main(environment, *words):
    wrong = 0
    for name, arguments, n, action in CASES:
        if not all(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            n_answered, n_lost, messages = serve(f"{environment}/bin/uwsgi", Path(folder), arguments, n, action)
            lines, n_files = counts(Path(folder))
        handler = {lines.get(line, 0) for line in (2, 5, 9, 10, 11)}
        exact = len(handler) == 1 and n_answered <= max(handler) <= n_answered + n_lost and lines.get(4) == 200 * lines[2]
        wrong += not exact or bool(messages)
        print(f"{name}: {n_answered} answered, {n_lost} without answer, counted {sorted(handler)}, {n_files} processes:",
              "exact" if exact else "WRONG", *messages, flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
