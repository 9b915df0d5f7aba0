"""Runs cells in shells of IPython, each notebook in a shell of its own, for tests: `notebook_shells.run_notebooks`.

Standard input has JSON: a list of notebooks, each a list of cells, and whether the standard library's `trace` counts.
Standard output gets JSON: for each notebook the list of the outcomes of its cells.
"""

import contextlib
import io
import json
import re
import sys
import sysconfig
import trace

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

#: The variable that gets the report of a measured cell.
REPORT = "_report_of_test"
MAGIC = f"%%instrument --save {REPORT}"


def make_shell():
    """Return a new shell, which is the only one, without a history on disk."""
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    return InteractiveShell.instance(config=config)


def with_report(cell):
    """Return *cell* with an option that saves the report, if it has the magic."""
    return re.sub("^%%instrument", MAGIC, cell, count=1, flags=re.MULTILINE)


def run_cell(shell, cell):
    """Run *cell*, and return its output, its value, its error and the counts of the report."""
    out, err = io.StringIO(), io.StringIO()
    shell.user_ns.pop(REPORT, None)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        result = shell.run_cell(with_report(cell), store_history=True)
    report = shell.user_ns.pop(REPORT, None)
    error = result.error_before_exec or result.error_in_exec
    return {
        "out": out.getvalue(),
        "err": err.getvalue(),
        "value": repr(result.result),
        "error": "" if error is None else type(error).__name__,
        "counts": None if report is None else sorted([*key, n] for key, n in report.counts.items()),
        "remarks": [] if report is None else report.remarks,
        "html": "" if report is None else report._repr_html_(),
    }


def run_traced_cell(shell, cell):
    """Run the code of a measured *cell* under `trace`, and return the counts of cells.

    A comment stands for the line of the magic, as in the measured cell, so that both have the same file name. That line
    is line 1.
    """
    if not cell.startswith("%%instrument"):
        return run_cell(shell, cell)
    lines = with_report(cell).splitlines(keepends=True)
    text = "".join(["# " + lines[0], *lines[1:]] if len(lines) > 2 else lines[1:])
    tracer = trace.Trace(
        count=1, trace=0, ignoredirs=[sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix]
    )
    shell.user_ns["__file__"] = "notebook.py"  # `trace` counts modules with a file only
    with contextlib.redirect_stdout(io.StringIO()):
        tracer.runctx("run(text, store_history=True)", {"run": shell.run_cell, "text": text})
    counts = tracer.results().counts
    is_cell = shell.compile.format_code_name
    # A cell of one line runs without a comment. Its line is the second of the measured cell.
    measured = f"ipython-input-{shell.execution_count - 1}-" if len(lines) == 2 else " "
    rows = [[name, line + (measured in name), n] for (name, line), n in counts.items() if is_cell(name) is not None]
    return {"counts": sorted(rows)}


def main():
    """Run the notebooks on standard input."""
    notebooks, is_traced = json.load(sys.stdin)
    run = run_traced_cell if is_traced else run_cell
    outcomes = []
    for cells in notebooks:
        shell = make_shell()
        if not is_traced and "%load_ext instrument" not in cells:
            shell.run_cell("%load_ext instrument")
        outcomes.append([run(shell, cell) for cell in cells if not is_traced or "load_ext" not in cell])
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()
