"""`instrument serve`: live pages of a process that runs."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from html_pages import Page, chromium
from reporting import run

from instrument.errors import ConfigError, DataError, RequestError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def serving(tree):
    """Yield a function that starts the command on the data of *tree*, and returns its process and its address."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "instrument", "serve", str(tree.data), *arguments]
        environment = {**{k: v for k, v in os.environ.items() if not k.startswith("INSTRUMENT")}, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=tree.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def get(address):
    """Return the content at *address*."""
    with urllib.request.urlopen(address, timeout=20) as response:
        return response.read().decode()


def document_when(address, condition):
    """Return the first JSON document at *address* that meets *condition*."""
    end = time.monotonic() + 60
    while not condition(document := json.loads(get(address))):
        assert time.monotonic() < end, document
        time.sleep(0.2)
    return document


def calls_of_hot(document):
    """Return how often `hot` was called, according to the *document* of a page."""
    [calls] = [each["numbers"]["calls"] for each in document["functions"] if each["name"] == "hot"]
    return int(calls)


def test_counts_of_a_running_process_grow(tree, busy, serving):
    """From the first data to the end of the process: counts and rates move without a write of its own accord."""
    process, address = serving()
    assert address.startswith("http://127.0.0.1:")
    assert len(address.rstrip("/").rpartition("/")[2]) == 43
    subprocess.run(
        [sys.executable, "-m", "instrument", "snapshot", str(busy.pid), "--dir", str(tree.data)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    first = document_when(f"{address}index.json", lambda document: document["running"] == 1 and document["rates"]["functions"])
    second = document_when(f"{address}index.json", lambda document: document["sample"] >= first["sample"] + 2)
    assert calls_of_hot(second) > calls_of_hot(first) > 0
    hot = [row for row in second["rates"]["functions"] if row[2] == "hot"]
    assert hot[0][3] > 0
    assert second["rates"]["plot"]["series"][0]["rates"][-1] == hot[0][3]
    page = hot[0][0].partition("#")[0]
    assert "return n + 1" in Page(get(address + page)).text
    whole = json.loads(get(f"{address}{page.removesuffix('html')}json"))
    later = document_when(
        f"{address}{page.removesuffix('html')}json?since={whole['sample']}", lambda document: document["lines"]
    )
    assert later["sample"] > whole["sample"]
    before = {line[0]: line[2] for line in whole["lines"]}
    # A line may be sent for its heat alone, which depends on the hottest line.
    grown = [line[0] for line in later["lines"] if int(line[2]) > int(before[line[0]])]
    assert {3, 5, 6, 7, 8} >= set(grown) >= {3, 6, 7}

    (tree.folder / "stop").touch()
    busy.wait(30)
    final = document_when(f"{address}index.json", lambda document: document["is_final"])
    assert calls_of_hot(final) >= calls_of_hot(second)
    assert final["running"] == 0
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130
    assert messages == f"Serving the counts in {tree.data}; Ctrl-C ends it.\n"
    assert not [name for name in os.listdir(tree.data) if ".flush" in name]
    with pytest.raises(urllib.error.URLError):
        get(address)


@pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")
def test_numbers_on_the_page_move(tree, busy, serving, tmp_path):
    """The counts in the page at the end are greater than those with which it was loaded."""
    subprocess.run(
        [sys.executable, "-m", "instrument", "snapshot", str(busy.pid), "--dir", str(tree.data)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
    )  # fmt: skip
    _, address = serving()
    document = document_when(f"{address}index.json", lambda document: document["sample"] > 1)
    page = document["rates"]["functions"][0][0].partition("#")[0]
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    # The virtual clock stands still during a request, so this is some seconds of the real one.
    flags = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--virtual-time-budget=600000"]
    done = subprocess.run(
        [chromium(), *flags, "--enable-logging=stderr", *sandbox, f"--user-data-dir={tmp_path}/profile", "--dump-dom", address + page],
        capture_output=True,
        timeout=90,
    )
    assert b"CONSOLE" not in done.stderr
    shown = Page(done.stdout.decode())
    lines = {a["id"][1:]: int(a["data-count"]) for _, a in shown.tags if a.get("id", "").startswith("L") and "data-count" in a}
    moved = [n for n, count in shown.documents[0]["lines"].items() if lines[n] > count]
    assert len(moved) >= 3


def test_sigterm_ends_the_command(tree, serving):
    """Also while there are no data; the page says that it waits."""
    process, address = serving()
    page = get(address)
    assert "This page shows the first counts as soon as a process has written them." in page
    document = document_when(f"{address}index.json", lambda document: "data" in document["reason"])
    assert document["sample"] == 0
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM


def test_a_port_in_use_has_a_way_out(tree, serving):
    """The message names the port."""
    _, address = serving()
    port = address.split(":")[2].partition("/")[0]
    second, address = serving("--port", port)
    _, messages = second.communicate(timeout=30)
    assert (address, second.returncode) == ("", 1)
    assert f"port {port} of 127.0.0.1 cannot be used: " in messages
    assert "name another one with --port, or leave --port out for a free one" in messages


def test_wrong_options_are_named(tmp_path, monkeypatch):
    """Ports, folders, and libraries that are missing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="--port is 65536; it must be from 0 to 65535"):
        run("live.serve", "--port", "65536")
    with pytest.raises(RequestError, match="DIR and --dir name two folders"):
        run("live.serve", "a", "--dir", "b")
    Path("file").touch()
    with pytest.raises(DataError, match="file' is no folder"):
        run("live.serve", "file")
    monkeypatch.setattr("instrument.report.html.writing.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"the pages need jinja2 and markupsafe"):
        run("live.serve")
