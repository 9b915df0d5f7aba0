"""Programs that forbid what we do: whatever is raised in the midst of our work, they run and end as without us."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from recorded import Tree

from instrument.guest import messages

DRIVER = Path(__file__).with_name("forbidding.py")
CLASSES = ["Exception", "BaseException"]
EVENTS = ["open", "os.", "sqlite3.", "marshal.", "object.", "sys.", "_thread.", "code.", "gc.", "builtins."]


@pytest.mark.parametrize("kind", CLASSES)
def test_a_hook_that_raises_anywhere_in_trace(kind, tmp_path):
    """At whatever place of ours an audit hook raises, always or once, `runfunc` returns what its function does."""
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
def test_a_hook_that_raises_in_a_recorded_process(event, kind, tmp_path):
    """A program with a hook that forbids an event in our frames ends as ever, and each process says one line of it."""
    environment = Tree(tmp_path).environment(0.01, INSTRUMENT_CACHE=str(tmp_path / "cache"))
    environment["INSTRUMENT"] = str(DRIVER.parent)
    run = subprocess.run(
        [sys.executable, DRIVER, event, kind], env=environment, capture_output=True, text=True, timeout=50
    )

    assert run.stdout == "3\n4\n5\n7\n"
    assert run.returncode == 5
    lines = run.stderr.splitlines()
    assert len(lines) <= 2, run.stderr  # the child has one, too
    assert all(line.startswith("instrument: ") for line in lines), run.stderr


class Late(Exception):
    """What a handler of the program raises."""


def late(number, frame):
    raise Late


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
@pytest.mark.parametrize("handler", [late, partial(late), signal.default_int_handler])
def test_what_handlers_of_signals_raise_is_the_programs(handler):
    """Interrupts and exceptions of handlers reach the program, wherever they come; those of others do not."""
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises((Late, KeyboardInterrupt)) as caught:
            signal.raise_signal(signal.SIGUSR1)
    finally:
        error = caught.value
        belongs = messages.belongs_to_program(error)
        signal.signal(signal.SIGUSR1, before)

    assert belongs
    assert messages.belongs_to_program(error) == isinstance(error, KeyboardInterrupt)


def test_what_is_sent_to_a_thread_is_the_programs():
    """An exception that has no frame of the program, and is none that we could have caused, was sent to the thread."""
    code = compile("raise error", messages.__file__, "exec")
    for error, belongs in ((Late(), True), (SystemExit(), True), (ValueError(), False), (OSError(), False)):
        with pytest.raises(type(error)):
            exec(code, {"error": error})
        assert messages.belongs_to_program(error) is belongs
