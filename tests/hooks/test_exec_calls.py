"""Texts that the program executes are counted, except the line of this package's start-up file."""

import textwrap
from pathlib import Path

from recorded import Tree

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


#: Texts that execute the file `counted.py`, by names in various guises. The last one does nothing of the kind.
TEXTS = [
    "exec(compile(open('counted.py').read(), path, 'exec'))",
    "getattr(__import__('builtins'), 'ex' + 'ec')(code)",
    "\uff45\uff58\uff45\uff43(code)",
    "six.exec_(code)",
    "__import__('types').FunctionType(code, globals())()",
    "1 + 1",
]


def test_texts_that_execute_measured_code_are_compiled_here(tmp_path):
    """Such a text of an unmeasured module is rewritten, so that it executes measured code, whatever name it uses."""
    tree = Tree(tmp_path)
    (tmp_path / "counted.py").write_text("one = 1\n", encoding="utf-8")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "other.py").write_text(
        textwrap.dedent("""
            import builtins
            def run(texts, path):
                code = compile(open("counted.py").read(), path, "exec")
                names = {"code": code, "path": path, "six": builtins.__class__("six"), "__file__": path}
                names["six"].exec_ = exec
                for text in texts:
                    exec(text, names)
        """),
        encoding="utf-8",
    )
    program = f"import sys; sys.path.append({str(outside)!r}); import other, os\nother.run({TEXTS!r}, os.path.abspath('counted.py'))\n"
    assert tree.run(program) == ("", "")
    assert tree.lines("counted.py") == {1: len(TEXTS) - 1}


def test_the_interpreter_compiles_texts_that_execute_nothing(tmp_path):
    """The function `compile` makes the types of `_ast` first, which takes a tenth of a short process."""
    tree = Tree(tmp_path)
    program = """
        from collections import namedtuple
        Point = namedtuple("Point", "x y")
        exec("class Text:\\n pass")
        print(Point(1, 2), Text.__name__, [each for each in object.__subclasses__() if each.__name__ == "AST"])
    """
    for _ in range(2):  # the second run takes the code of the program, and of this package, from files
        output, errors = tree.run(program, INSTRUMENT_CACHE=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="")
    assert (output, errors) == ("Point(x=1, y=2) Text []\n", "")
