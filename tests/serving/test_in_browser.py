"""The script of live pages, in a browser: numbers move, and notices appear.

The server of a test puts the next sample when the script requests the numbers. Chromium prints the document at the end.
Its clock is a virtual one, which stands still while a request is open.
"""

import html
import os
import re
import subprocess
import threading

import pytest
from html_pages import HOSTILE, SOURCE, analysed, chromium, flow_of_source
from reporting import in_own_folder as in_own_folder
from sampled import report_on, sample_of

from instrument.model.flow_counts import Arc, Outcomes
from instrument.serving.samples import Samples
from instrument.serving.server import Server
from instrument.serving.site import Site

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")

TOKEN = "Zm9v-YmFyYmF6_cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx"


def page_after(tmp_path, samples, name, *, ends_after=None, virtual_seconds=8):
    """Return the document and the console's messages of the page *name*, after the script has seen all *samples*.

    The server sends no response from request number *ends_after* on.
    """
    requests, held = [], Samples()
    held.put(samples[0])
    with Server(0) as server:
        site = Site(held, TOKEN, server.server_port, "Title")

        def answer(request):
            if ".json" in request.target:
                requests.append(request.target)
                if ends_after is not None and len(requests) >= ends_after:
                    raise ConnectionResetError
                held.put(samples[min(len(requests), len(samples) - 1)])
            return site.answer(request)

        server.answer = answer
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            flags = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
            flags += ["--disable-component-update", "--enable-logging=stderr", f"--virtual-time-budget={virtual_seconds}000"]
            address = f"http://127.0.0.1:{server.server_port}/{TOKEN}/{name}"
            command = [chromium(), *flags, *sandbox, f"--user-data-dir={tmp_path}/profile", "--dump-dom", address]
            done = subprocess.run(command, capture_output=True, timeout=90)
        finally:
            server.shutdown()
            thread.join()
    assert len(requests) > 1, done.stderr
    console = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    return done.stdout.decode(), console


def line_of(document, number):
    """Return the markup of a line in the page."""
    return re.search(rf'<div class="l [^>]*id="L{number}".*?</div>', document)[0]


def text_of(document, tag, name):
    """Return the text of the element with this *tag* whose id is *name*."""
    inner = re.search(rf'<{tag}[^>]*id="{name}"[^>]*>(.*?)</{tag}>', document, re.DOTALL)[1]
    return html.unescape(re.sub("<[^>]*>", " ", inner))


def flow_with(taken):
    """Return the flow of SOURCE, with line 5 run so often."""
    flow = flow_of_source()
    flow.arcs[Arc(("price", 1), 4, 5)] = taken
    for decision, outcomes in list(flow.decisions.items()):
        if decision.line == 4:
            flow.decisions[decision] = Outcomes(taken, outcomes.false)
    flow.executions[5] = flow.instructions[5] = taken
    return flow


def test_numbers_of_a_file_move(tmp_path):
    """Counts, states, ways and conditions of lines, the sums, the functions, the rates and the plot."""
    lines = {1: 1, 2: 1, 3: 4, 4: 3, 6: 1, 9: 1, 13: 12_345_678}
    made = []
    for number, taken in enumerate((0, 5, 2**60 + 7), 1):
        counts = {**lines, **({5: taken} if taken else {})}
        file = analysed("a.py", SOURCE, counts, {("price", 1): taken + 1}, flow=flow_with(taken))
        made.append(sample_of(report_on(file), number))
    [name] = made[0].report.files()
    document, console = page_after(tmp_path, made, f"{name}.html")

    assert console == []
    line = line_of(document, 5)
    assert f'data-count="{2**60 + 7}"' in line
    assert f'title="{2**60 + 7:,}"' in line
    assert 'class="l r' in line
    assert f'data-target="5" data-count="{2**60 + 7}"' in line_of(document, 4)
    assert "✗" not in line_of(document, 4).partition("conditions")[0]
    assert '"5":' not in re.search('<script type="application/json" id="data">(.*?)</script>', document)[1].split('"executable"')[0]
    assert f'data-rate="{float(2**60 + 7)}"'.partition("e")[0][:14] in document
    assert "price" in text_of(document, "table", "function-rates")
    assert "total += item" in text_of(document, "table", "line-rates")
    assert document.count("<polyline") == 1
    assert "1 process runs" in text_of(document, "p", "state")


def test_numbers_of_the_index_move(tmp_path):
    """Rows of files and folders, the sums and the functions; a function that is new gets a row."""
    made = []
    for number in (1, 2, 3):
        files = [
            analysed("src/a.py", "x = 1\n", {1: 10**number}, {("f", 1): number}),
            analysed("src/b.py", "y = 1\n", {1: 7}, {("g", 1): 9} if number > 1 else {("h", 1): 2}),
        ]
        made.append(sample_of(report_on(*files), number, running=0, is_final=number == 3))
    document, console = page_after(tmp_path, made, "")

    assert console == []
    assert re.findall(r'<td data-v="(\d+)" title', document)[:3] == ["1007", "1000", "1000"]
    assert re.findall('<tr data-function="([a-z]+)"', document) == ["g", "f"]
    assert ">1,007<" not in document
    assert re.search('data-total="hits">1007<', document)
    assert "All processes have ended. These numbers are final." in text_of(document, "ul", "notices")


def test_new_files_appear(tmp_path):
    """The page is loaded again if a file is new, and at the first counts."""
    first = sample_of(report_on(analysed("a.py", "x = 1\n", {1: 1}, {})))
    files = [analysed("a.py", "x = 1\n", {1: 1}, {}), analysed("b.py", "x = 1\n", {1: 2}, {})]
    document, console = page_after(tmp_path, [first, sample_of(report_on(*files), 2)], "index.html")
    assert console == []
    assert 'data-label="b.py"' in document
    document, console = page_after(tmp_path, [None, first], "")
    assert console == []
    assert 'data-label="a.py"' in document


def test_the_end_of_the_server_is_a_notice(tmp_path):
    """The page says that its numbers stand still, and how old they are."""
    sample = sample_of(report_on(analysed("a.py", "x = 1\n", {1: 1}, {})))
    document, _console = page_after(tmp_path, [sample], "", ends_after=3)
    assert re.search(r"The server has stopped, or it does not answer\. .* ago\.", text_of(document, "ul", "notices"))


def test_old_numbers_are_a_notice(tmp_path):
    """The page says so if the samples stop."""
    sample = sample_of(report_on(analysed("a.py", "x = 1\n", {1: 1}, {})))
    document, console = page_after(tmp_path, [sample._replace(moment=sample.moment - 100)], "")
    assert console == []
    assert re.search(r"The numbers are old: they were read \d+ s ago\.", text_of(document, "ul", "notices"))


def test_hostile_texts_execute_nothing(tmp_path):
    """Names of files, functions and notices, and lines of sources are texts in the page."""
    file = analysed(HOSTILE.replace("/", "_") + ".py", f"x = {HOSTILE!r}\n", {1: 5}, {(HOSTILE, 1): 3})
    more = analysed(file.path, f"x = {HOSTILE!r}\n", {1: 5}, {(HOSTILE, 1): 3, (f"{HOSTILE}2", 1): 4})
    made = [sample_of(report_on(file)), sample_of(report_on(more), 2, notices=(HOSTILE,))]
    document, console = page_after(tmp_path, made, "")
    assert console == []
    assert "<script>alert" not in document
    assert "<img" not in document
    assert "alert(1)" in text_of(document, "ul", "notices")
    assert "alert(1)" in text_of(document, "table", "line-rates")
