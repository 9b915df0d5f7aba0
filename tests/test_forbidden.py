"""Programs with an audit hook that raises exceptions in the package's frames run and end as without measurement."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from recorded import Tree

from instrument.guest import program_errors

DRIVER = Path(__file__).with_name("forbidding.py")
CLASSES = ["Exception", "BaseException"]
EVENTS = ["open", "os.", "sqlite3.", "marshal.", "object.", "sys.", "_thread.", "code.", "gc.", "builtins."]


@pytest.mark.parametrize("kind", CLASSES)
def test_runfunc_returns_its_result_wherever_an_audit_hook_raises(kind, tmp_path):
    """The hook raises at each place of the package that raises an audit event, always and once."""
    run = subprocess.run(
        [sys.executable, DRIVER, "trace", kind],
        env=os.environ | {"INSTRUMENT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert run.stdout == "True 4\n"
    assert run.returncode == 0
    assert run.stderr.count("\n") <= 1, run.stderr


@pytest.mark.parametrize(
    ("event", "kind"), [(event, "BaseException") for event in EVENTS] + [("open", "Exception"), ("os.", "Exception")]
)
def test_a_recorded_process_ends_the_same_if_an_audit_hook_raises(event, kind, tmp_path):
    """The hook raises at each event in the package's frames.

    Each process says at most once that it cannot save, and one of them at most once that it does not count everything.
    """
    environment = Tree(tmp_path).environment(0.01, INSTRUMENT_CACHE=str(tmp_path / "cache"))
    environment["INSTRUMENT"] = str(DRIVER.parent)
    run = subprocess.run(
        [sys.executable, DRIVER, event, kind], env=environment, capture_output=True, text=True, timeout=50
    )

    assert run.stdout == "3\n4\n5\n7\n"
    assert run.returncode == 5
    lines = run.stderr.splitlines()
    assert len(lines) - sum("not all is counted" in line for line in lines) <= 2, run.stderr  # the child has one, too
    assert len(lines) <= 3, run.stderr
    assert all(line.startswith("instrument: ") for line in lines), run.stderr


class Late(Exception):
    """The exception that a signal handler of the program raises."""


def raise_late(number, frame):
    raise Late


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
@pytest.mark.parametrize("handler", [raise_late, partial(raise_late), signal.default_int_handler])
def test_exceptions_of_signal_handlers_belong_to_the_program(handler):
    """While its handler is installed, an exception belongs to the program; afterwards, only a KeyboardInterrupt does."""
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises((Late, KeyboardInterrupt)) as caught:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        error = caught.value
        belongs = program_errors.belongs_to_program(error)
        signal.signal(signal.SIGUSR1, before)

    assert belongs
    assert program_errors.belongs_to_program(error) == isinstance(error, KeyboardInterrupt)


def test_an_exception_that_is_sent_to_a_thread_belongs_to_the_program():
    """An exception without a frame of the program belongs to it, unless the package's own code could have raised it."""
    code = compile("raise error", program_errors.__file__, "exec")
    for error, belongs in ((Late(), True), (SystemExit(), True), (ValueError(), False), (OSError(), False)):
        with pytest.raises(type(error)):
            exec(code, {"error": error})
        assert program_errors.belongs_to_program(error) is belongs
