"""The work of a run takes no time of the program."""

import re
import sys

import pytest
from tracers import STDLIB

import instrument
from instrument import trace as trace_module
from instrument.session import instrumenter
from instrument.session.session import Session
from instrument.trace_runs import run as run_module


@pytest.mark.parametrize("timing", [True, False])
def test_printed_seconds_leave_out_the_time_in_which_code_is_rewritten(tmp_path, monkeypatch, capsys, timing):
    """Code is rewritten before the program runs, and while it runs."""
    now = [100.0]
    monkeypatch.setattr(trace_module, "monotonic", lambda: now[0])
    (tmp_path / "first.py").write_text("import second\nexec('x = 1')\ny = 2\n", encoding="utf-8")
    (tmp_path / "second.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def slow(function):
        def slowed(*arguments, **more):
            now[0] += 50
            return function(*arguments, **more)

        return slowed

    for module, names in (
        (run_module, ("instrument_existing_functions",)),
        (instrumenter, ("code_if_unmeasured", "bytecode_if_unmeasured")),
        (Session, ("instrument_exec_code", "instrument_module", "instrument_cached_module")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, slow(getattr(module, name)))
    tracer = instrument.Trace(count=0, trace=1, timing=timing, ignoredirs=STDLIB)
    now[0] += 7
    tracer.run("import first")
    first, second = (sys.modules.pop(name) for name in ("first", "second"))

    printed = capsys.readouterr().out
    assert first.y == 2
    assert second.x == 1
    assert printed.count("first.py(3)") == printed.count("second.py(1)") == 1
    assert set(re.findall(r"(\d+\.\d+) (?:first\.py|second\.py|<string>)\(", printed)) == ({"7.00"} if timing else set())
