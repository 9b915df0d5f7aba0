"""Measured cells run as IPython runs other cells, and the report comes after them."""

import re

import pytest
from instrument_command import ROOT, run_instrument
from notebook_shells import run_cells, run_notebooks

pytestmark = pytest.mark.slow

#: The body of a measured cell, or a whole notebook, in which a line of dashes separates cells.
SAME_WITHOUT_MAGIC = {
    "a result": "x = 6\nx * 7",
    "no result": "x = 6;\nx * 7;",
    "a single line": "6 * 7",
    "history": "a = 1\na\n----\n_ + 1, __ , Out[2], len(In), _i\n----\nIn[2].splitlines()[-1:], _i2.splitlines()[-1:]",
    "an error": "def f():\n    return 1 / 0\nx = 1\nf()\nx = 2\n----\nx",
    "a syntax error": "x = = 1",
    "an error of indentation": "if 1:\nx = 1",
    "an error of the compiler": "x = 1\nreturn x",
    "await": "import asyncio\nawait asyncio.sleep(0, 5)",
    "async for": "async def a():\n    yield 1\n[x async for x in a()]",
    "an error after await": "import asyncio\nawait asyncio.sleep(0)\n1 / 0",
    "line magics": "%pwd\nx = %sx echo a\nx",
    "shell": "!!echo a",
    "help": "x = 5\n%pinfo x",
    "a magic in the body": "for i in range(2):\n    %alias_magic t time\n",
    "interrupt": "import signal\nsignal.raise_signal(signal.SIGINT)",
    "exit": "import sys\nsys.exit(3)",
    "names": "__name__, '__file__' in globals()",
    "future": "from __future__ import annotations\ndef f(x: nothing): pass\nf.__annotations__",
    "source": '''def f(x):
    """Document it."""
    return x
----
import inspect
inspect.getsource(f), f.__doc__, inspect.signature(f), f.__code__.co_firstlineno, f.__qualname__''',
    "last expression or assignment": "get_ipython().ast_node_interactivity = 'all'\n1\n2",
    "stack": "import inspect\n[frame.function for frame in inspect.stack()][:4]",
    "print and warn": "import warnings\nprint('a')\nwarnings.warn('b')",
    "undefined": "def g():\n    return undefined\ng()",
    "capture": "%%capture out\nprint(3)\n----\nout.stdout",
    "leading blank lines": "\n\nx = 1\nx",
    "semicolons": "x = 1; y = 2; x + y",
}


#: The heading of a part of a report.
HEADING = re.compile(r"^In\[\d+\].* \(\d+ of \d+ lines? ran, \d+ hits?\)$", re.MULTILINE)


def bodies(text):
    return text.split("\n----\n")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Return, by name, the outcomes of a notebook with `%%instrument` at the top of its cells, and without."""
    folder = tmp_path_factory.mktemp("magics")
    notebooks = []
    for text in SAME_WITHOUT_MAGIC.values():
        notebooks.append([f"%%instrument\n{body}" for body in bodies(text)])
        # The comment that stands for the line of the magic keeps the numbers of lines.
        notebooks.append([f"# a comment\n{body}" if "\n" in body and body[0] != "%" else body for body in bodies(text)])
    outcomes = run_notebooks(notebooks, folder)
    return dict(zip(SAME_WITHOUT_MAGIC, zip(outcomes[::2], outcomes[1::2], strict=True), strict=True))


@pytest.mark.parametrize("name", SAME_WITHOUT_MAGIC)
def test_cells_do_the_same_with_the_magic_as_without(pairs, name):
    """Output, tracebacks included, value and error are the same. The report is printed behind the output."""
    for measured, plain in zip(*pairs[name], strict=True):
        assert measured.error == plain.error
        assert measured.value == plain.value
        out, *reports = HEADING.split(measured.out.replace("# %%instrument --save _report_of_test", "# a comment"))
        assert without_numbers(out) == without_numbers(plain.out)
        assert bool(reports) == (measured.counts is not None)
        assert without_numbers(measured.err) == without_numbers(plain.err)


def without_numbers(text):
    """Return *text* without the file names of cells, which differ."""
    return re.sub(r"ipython-input-\d+-\w+", "", text)


SHOP = """def price(items):
    total = 0
    for item in items:
        if item > 100:
            total += item * 0.9
        else:
            total += item
    return total


def refund(item):
    return -item"""

#: Notebooks by name. A line of dashes separates cells.
OTHERS = {
    "report": f"""{SHOP}
----
%load_ext instrument
----
%%instrument
bill = 0
for day in range(100):
    bill += price(range(day))
if bill < 0:
    refund(bill)
bill""",
    "only the cell": f"{SHOP}\n----\n%%instrument --only-cell\nprice([1])",
    "time": "%%instrument\n%%time\nx = 1\nif x == 2:\n    y = 3\nx",
    "capture": "%%instrument\n%%capture\nx = 1\nif x == 2:\n    y = 3\nx",
    "timeit": "%%instrument\n%%timeit -n1 -r1\nx = 1\n",
    "below time": "%%time\n%%instrument\nx = 1\nif x == 2:\n    y = 3\nx",
    "below capture": "%%capture\n%%instrument\nx = 1\nx",
    "statement": f"""{SHOP}
----
%instrument price([1, 200])
----
y = %instrument --only-cell price([1, 200])
y
----
%instrument 3 = refund(4)
----
%instrument price(3)
----
%instrument z = refund(4); z = z + 1
----
z
----
def local(w):
    get_ipython().run_line_magic("instrument", "q = refund(w)")
    return w
local(7)""",
    "wrong": """%%instrument --frob
x = 1
----
x
----
%%instrument
----
%instrument
----
%%instrument f(1)
x = 1
----
%%instrument --scope a-b
x = 2
----
x""",
    "loaded late": """def early():
    return 1
def numbers():
    yield 1
    yield 2
started = numbers(), early(), (n for n in range(3))
next(started[0])
----
%load_ext instrument
----
%%instrument
early(), next(started[0]), list(numbers()), next(started[2])
----
list(started[0])
----
%%instrument
early()""",
    "running thread": """import threading
go, done = threading.Event(), threading.Event()
def work():
    go.wait(20)
    x = 1
    done.set()
threading.Thread(target=work).start()
----
%%instrument
go.set()
done.wait(20)""",
    "unloaded": f"""{SHOP}
def gen():
    yield 1
----
%%instrument
price([1])
----
plain = type(get_ipython()).run_code
get_ipython().run_code.__func__ is plain, price.__code__.co_consts[-1] is None
----
%unload_ext instrument
----
shell, hooks = get_ipython(), []
for name in shell.events.callbacks:
    hooks += shell.events.callbacks[name]
hooks += shell.input_transformers_cleanup
hooks += [magic for kind in shell.magics_manager.magics.values() for magic in kind if "instrument" in magic]
from instrument.session.registry import is_live
[hook for hook in hooks if "instrument" in str(hook)], "run_code" in vars(shell), is_live(price.__code__), is_live(gen.__code__)
----
%load_ext instrument
----
%reload_ext instrument
----
%%instrument
price([1])
----
%%instrument
%unload_ext instrument
price([2])
----
1 + 1""",
    "wrapped": """shell = get_ipython()
ours = shell.run_code
def outer(*arguments, **options):
    return ours(*arguments, **options)
shell.run_code = outer
----
%unload_ext instrument
----
def gen():
    yield 1
----
from instrument.session.registry import is_live
is_live(gen.__code__), shell.run_code is outer""",
    "old IPython": """import instrument
class Shell:
    compile = compile
instrument.load_ipython_extension(Shell)""",
    "plain cells": f"""{SHOP}
----
def gen():
    yield price([1])
async def co():
    pass
def outer():
    return (x for x in range(3))
----
from instrument.session.registry import is_live
[is_live(f.__code__) for f in (price, gen, co, outer)]""",
    "no tracing facility": """import sys, threading
def tools():
    used = [sys.gettrace(), sys.getprofile(), threading._trace_hook]
    if hasattr(sys, "monitoring"):
        used += map(sys.monitoring.get_tool, range(6))
    return set(used)
----
%%instrument
tools()""",
}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Return the outcomes of OTHERS, by name."""
    outcomes = run_notebooks([bodies(text) for text in OTHERS.values()], tmp_path_factory.mktemp("others"))
    return dict(zip(OTHERS, outcomes, strict=True))


def test_the_report_has_the_cell_and_the_functions_of_earlier_cells(others):
    """A line that can run and did not has the count 0. Functions that did not run are left out."""
    *_, measured = others["report"]

    assert measured.out == """Out[3]: 161700
In[3] (5 of 6 lines ran, 204 hits)
   1: bill = 0
 101: for day in range(100):
 100:     bill += price(range(day))
   1: if bill < 0:
   0:     refund(bill)
   1: bill
In[1]: price (5 of 6 lines ran, 15150 hits)
      def price(items):
 100:     total = 0
5050:     for item in items:
4950:         if item > 100:
   0:             total += item * 0.9
              else:
4950:             total += item
 100:     return total
"""
    assert measured.html.count("it did not run") == 2
    cell = bodies(OTHERS["report"])[-1].replace("\n", "\n   ...: ")
    assert f"```\nIn [3]: {cell}\n{measured.out}```" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_only_cell_leaves_the_functions_of_earlier_cells_out(others):
    """Their counts are in the report all the same."""
    _, measured = others["only the cell"]

    assert "In[1]" not in measured.out
    assert len({name for name, _, _ in measured.counts}) == 2


@pytest.mark.parametrize("name", ["time", "capture", "below time"])
def test_other_cell_magics_and_this_one_can_be_nested(others, name):
    """The lines of the body are counted in either order."""
    (measured,) = others[name]
    body = measured.out.partition(" hits)\n")[2]

    magic = "" if name == "below time" else f"1: %%{name}\n"
    assert body.startswith(f"{magic}1: x = 1\n1: if x == 2:\n0:     y = 3\n1: x\n")
    assert ("Wall time" in measured.out) == ("time" in name)


@pytest.mark.parametrize(("name", "first"), [("time", 3), ("below time", 2)])
def test_line_one_of_the_counts_is_that_of_the_magic(others, name, first):
    """So numbers are those of a notebook's editor, whatever lines IPython has taken away."""
    (measured,) = others[name]
    magic = {2: 1} if name == "time" else {}
    lines = {line: n for _, line, n in measured.counts}
    assert {line: lines.get(line) for line in (*magic, *range(first, first + 4))} == {**magic, first: 1, first + 1: 1, first + 2: None, first + 3: 1}


def test_a_body_that_a_magic_compiles_by_itself_is_said_to_be_uncounted(others):
    """`%%timeit` puts it into a function of its own."""
    (measured,) = others["timeit"]

    assert "1: %%timeit -n1 -r1\n   x = 1\nThe body of %%timeit is not counted." in measured.out


def test_output_of_a_measured_cell_can_be_captured(others):
    """The report is captured, too."""
    (measured,) = others["below capture"]

    assert measured.out == ""
    assert [n for _, _, n in measured.counts] == [1, 1]


def test_a_statement_is_counted_and_has_its_value(others):
    """An error goes on to the cell. Local variables of a function can be read."""
    _, first, second, syntax, error, assignment, z, local = others["statement"]

    assert first.value == second.value == "181.0"
    assert "In[2] (1 of 1 line ran, 1 hit)\n1: price([1, 200])\nIn[1]: price (6 of 6 lines ran, 9 hits)\n" in first.out
    assert "In[1]: price" not in second.out
    assert (syntax.error, error.error) == ("SyntaxError", "TypeError")
    assert "1:     for item in items:\n0:         if item > 100:" in error.out
    assert "instrument/notebook" not in error.out
    assert (assignment.value, z.value) == ("None", "-3")
    assert (local.value, local.error) == ("7", "")
    assert "1:     return -item" in local.out


def test_wrong_use_is_an_error_of_use_and_the_cell_does_not_run(others):
    """With a wrong scope the cell runs, and a message says that it is not counted."""
    option, x, empty, statement, code, scope, after = others["wrong"]

    assert (option.error, x.error) == ("UsageError", "NameError")
    assert "UsageError: there is no option --frob: use --only-cell" in option.err
    assert (empty.error, statement.error, code.error) == ("UsageError", "UsageError", "UsageError")
    assert "write `%instrument STATEMENT`, or `%%instrument` above the code of a cell" in statement.err
    assert "takes options only, and not 'f(1)'" in code.err
    assert "is neither the name of a module nor a path" in scope.err
    assert after.value == "2"


def test_functions_are_counted_that_were_there_before_the_extension(others):
    """Generators that were suspended then cannot be counted, and are named until they end."""
    _, _, measured, _, last = others["loaded late"]

    assert "1:     return 1" in measured.out
    assert "1:     yield 1\n1:     yield 2\n" in measured.out
    names = [re.findall(r"Not counted: (.*) of In\[1\]\. It had begun before, as plain code\.", each.out) for each in (measured, last)]
    assert names == [["<genexpr>", "numbers"], ["<genexpr>"]]


def test_functions_that_run_in_another_thread_already_are_named(others):
    """Their frames have the original code."""
    _, measured = others["running thread"]

    assert "Not counted: work of In[1]. It had begun before, as plain code." in measured.out


def test_the_extension_can_be_unloaded_and_loaded_again(others):
    """No hook stays behind, and functions have their originals. A measured cell may unload the extension."""
    *_, hooks, _, _, again, unloading, last = others["unloaded"]

    assert hooks.value == "([], False, False, False)"
    assert "In[1]: price" in again.out
    assert (unloading.value, unloading.counts, unloading.error) == ("2", None, "")
    assert last.value == "2"


def test_a_wrapper_of_another_extension_stays(others):
    """It keeps the replaced method, which then does nothing by itself."""
    assert others["wrapped"][-1].value == "(False, True)"


def test_an_IPython_that_is_too_old_is_named(others):
    """IPython 7 does not tell which files are cells."""
    (outcome,) = others["old IPython"]

    assert outcome.error == "UsageError"
    assert "%load_ext instrument needs IPython 8.18 or later: pip install --upgrade ipython" in outcome.err


def test_other_cells_run_as_they_are_unless_a_frame_of_theirs_can_be_suspended(others):
    """Only such functions are live from the beginning."""
    assert others["plain cells"][-1].value == "[False, True, True, True]"


def test_no_tracing_facility_is_used(others):
    """Neither a trace function, nor a profile function, nor `sys.monitoring`."""
    assert others["no tracing facility"][-1].value == "{None}"


MODULE = """def price(items):
    return sum(items)


def refund(item):
    return -item
"""


def test_a_scope_is_counted_too(tmp_path):
    """Modules are listed behind the cells. If a source was edited after the import, its lines are not shown."""
    (tmp_path / "shop.py").write_text(MODULE)
    first, second, nothing, edited = run_cells(
        tmp_path,
        "%%instrument --scope shop\nimport sys; sys.path.insert(0, '')\nimport shop\nshop.price([1])",
        "%%instrument --scope shop,json\nshop.refund(1)\nshop.refund(2)",
        "%%instrument --scope nothing\nshop.refund(1)",
        "%%instrument --scope shop\n_ = open('shop.py', 'r+').write('#' * 30 + chr(10) * 60)\nshop.refund(1)",
    )

    assert "shop.py: price (3 of 3 lines ran, 3 hits)\n1: def price(items):\n1:     return sum(items)\n   …\n1: def refund" in first.out
    assert "shop.py: refund (1 of 1 line ran, 2 hits)\n   def refund(item):\n2:     return -item\n" in second.out
    assert [n for name, _, n in second.counts if name.endswith("shop.py")] == [2]
    assert nothing.remarks == ["No line of nothing ran."]
    assert edited.remarks == ["shop.py has changed since it was imported, and its lines are not shown."]
    assert [str(tmp_path / "shop.py"), 6, 1] in edited.counts


def test_cells_are_counted_in_a_process_that_is_recorded(tmp_path):
    """The recorder has its own counts, and takes none away. Suspended generators are counted, too."""
    (tmp_path / "shop.py").write_text(MODULE)
    outcomes = run_cells(
        tmp_path,
        "import sys; sys.path.insert(0, '')\nimport shop\ndef gen():\n    yield shop.price([1])\n    yield 2\n"
        "it = gen(); next(it)",
        "%%instrument\nx = shop.refund(1)\nif x:\n    next(it)",
        "%%instrument --scope shop\n%%time\nshop.refund(1)",
        launcher=("-m", "instrument", "run", "--scope", "shop"),
        INSTRUMENT_QUIET="1",
    )
    report = run_instrument(tmp_path, "report", "--format", "json", INSTRUMENT_DIR=str(tmp_path / ".instrument"))

    assert "1: x = shop.refund(1)\n1: if x:\n1:     next(it)\nIn[1]: gen (1 of 2 lines ran, 1 hit)" in outcomes[1].out
    assert "1: %%time\n1: shop.refund(1)\nshop.py: refund (1 of 1 line ran, 1 hit)" in outcomes[2].out
    assert '"hits": 5' in report.out


def test_measurements_leave_other_measurements_alone(tmp_path):
    """`counting` within a measured cell, and a measured cell within `counting`."""
    (tmp_path / "shop.py").write_text(MODULE)
    *_, inside, _, _, outside = run_cells(
        tmp_path,
        "import sys; sys.path.insert(0, '')\nimport instrument, shop\ndef f():\n    return shop.refund(1)",
        "%%instrument\nwith instrument.counting('shop') as results:\n    f()\nsorted(results.counts.values())",
        "counting = instrument.counting('shop')\nresults = counting.__enter__()",
        "%%instrument\nf()\nf()\n",
        "counting.__exit__()\nsorted(results.counts.values())",
    )

    assert inside.value == outside.value.replace("2", "1") == "[1]"
    assert "1:     f()\n1: sorted" in inside.out


def test_a_blank_line_ends_a_cell_in_a_terminal(tmp_path):
    """IPython asks whether a cell is complete, as for its own magics."""
    texts = ["%%instrument\na = 1", "%%instrument --only-cell\nfor a in 1, 2:\n    a", "%%instrument\na = 1\n\n", "a = 1"]
    (outcome,) = run_cells(tmp_path, f"[get_ipython().check_complete(text)[0] for text in {texts!r}]")
    assert outcome.value == "['incomplete', 'incomplete', 'complete', 'complete']"
