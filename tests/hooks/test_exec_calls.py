"""Texts that the program executes are counted, except the line of this package's start-up file."""

from pathlib import Path

import instrument
from instrument.hooks import exec_calls

LINE = (Path(exec_calls.__file__).parents[1] / "bootstrap" / "instrument.pth").read_text(encoding="utf-8")
TEXT = "from instrument.startup import start  # part of that line\nfor _ in range(3):\n    pass\n"


def test_only_the_line_of_the_start_up_file_is_left_alone(monkeypatch):
    """`site` executes it a second time in a virtual environment. A text with a part of it is counted like any other."""
    monkeypatch.delenv("INSTRUMENT", raising=False)
    assert LINE.rstrip() == exec_calls._START
    tracer = instrument.Trace(count=1, trace=0)
    namespace = {"__file__": "program.py", "line": LINE, "text": TEXT}
    tracer.runctx(compile("exec(line)\nexec(text)\n", "program.py", "exec"), namespace, namespace)
    counts = tracer.results().counts
    assert {line: n for (file, line), n in counts.items() if file == "<string>"} == {1: 1, 2: 4, 3: 3}
