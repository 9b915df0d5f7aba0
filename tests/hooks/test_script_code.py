"""The code of a script comes from the cache if its text is the same, and compiling it prints nothing."""

import marshal
import subprocess
import sys

import pytest
from recorded import Tree

from instrument.flow import placement
from instrument.hooks import script_code
from instrument.link.cache import Cache

TEXT = b"def f(n):\n    return n\nf(1)\n"


@pytest.fixture
def cache(tmp_path):
    """Return an empty cache."""
    return Cache(placement.MINIMAL, str(tmp_path / "cache"))


@pytest.fixture
def compiled(monkeypatch):
    """Return a list to which the path of each compilation is appended; no option of the interpreter forbids caching."""
    paths, compile_ = [], script_code._compiled
    monkeypatch.setattr(script_code, "_compiled", lambda path, text: paths.append(path) or compile_(path, text))
    monkeypatch.setattr(script_code, "_may_cache", lambda: True)
    return paths


def test_a_script_is_compiled_once(cache, compiled):
    """The first time it is compiled twice, to find out whether that prints a warning."""
    codes = [script_code.code_of_script("/a/script.py", TEXT, cache) for _ in range(3)]

    assert compiled == ["/a/script.py"] * 2
    assert codes[0] == codes[1] == codes[2] == compile(TEXT, "/a/script.py", "exec", dont_inherit=True)
    assert [list(code.co_positions()) for code in codes[:2]] == [list(codes[0].co_positions())] * 2
    assert marshal.dumps(codes[1]) == marshal.dumps(codes[2])


def test_a_line_of_site_is_compiled_once(cache, compiled):
    """Each line has an entry of its own; the code is the same as that of `exec`."""
    lines = ["import sys; exec('1 + 1')\n", "# coding: utf-16\nimport os; exec('1')", "x = '\u20ac'"]
    codes = [[script_code.code_of_site_line(line, cache) for line in lines] for _ in range(3)]

    assert compiled == ["<string>"] * 2 * len(lines)
    assert codes[0] == codes[1] == codes[2] == [compile(line, "<string>", "exec", dont_inherit=True) for line in lines]


def test_another_text_or_another_path_is_compiled(cache, compiled):
    """The path is a part of the code."""
    script_code.code_of_script("/a/script.py", TEXT, cache)
    assert script_code.code_of_script("/a/script.py", b"pass\n", cache).co_names == ()
    assert script_code.code_of_script("/b/script.py", b"pass\n", cache).co_filename == "/b/script.py"


def test_errors_are_those_of_the_compiler(cache, compiled):
    """The caller leaves such a script to the interpreter."""
    stream = sys.stderr
    with pytest.raises(SyntaxError):
        script_code.code_of_script("/a/script.py", b"1 +", cache)
    assert sys.stderr is stream


SCRIPTS = {
    "assertion": "try:\n    assert False\nexcept AssertionError:\n    print('checked')\nprint(__debug__)\n",
    "docstring": "'Text.'\nprint(__doc__)\n",
    "warning": "print('a' is 'b')\n",
    "traceback": "x = 0\nprint(1 + x / x)\n",
    "long number": f"print({'1' * 700} % 7)\n",
}
#: Options under which no process uses the cache, and options under which each stores its code in place of the other.
UNCACHED = [("-Werror",), ("-X", "dev"), ("-X", "no_debug_ranges")]
STORED = [("-O",), ("-OO",), ("-X", "int_max_str_digits=640"), ()]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_from_the_cache_prints_the_same_as_a_plain_one_under_any_option(name, tmp_path):
    """Options change the code, the warnings and the errors of a script, and all its processes share one cache."""
    tree = Tree(tmp_path / "program")
    tree.folder.mkdir()
    tree.write(SCRIPTS[name])
    environment = tree.environment(INSTRUMENT_CACHE=str(tmp_path / "cache"))

    def result(environment, options):
        command = [sys.executable, *options, str(tree.path)]
        run = subprocess.run(command, env=environment, cwd=tree.folder, capture_output=True, text=True, timeout=50)
        # A script with a syntax error never ran, which is said in one line.
        errors = [line for line in run.stderr.splitlines() if "nothing was counted" not in line]
        return run.returncode, run.stdout, errors

    for options in [*UNCACHED, *STORED]:
        if options not in UNCACHED[1:]:
            result(environment, ())  # the cache has the code that is compiled without options
        assert result(environment, options) == result({**environment, "INSTRUMENT": ""}, options)


@pytest.mark.parametrize(
    ("options", "may_cache"),
    [((), True), (("-Wd",), False), (("-X", "dev"), False), (("-b",), False), (("-X", "no_debug_ranges"), False)],
)
def test_options_that_change_warnings_or_columns_forbid_the_cache(options, may_cache):
    """Such options hold for few runs, so their code is compiled each time."""
    program = (
        "import sys; from instrument.hooks import script_code; sys.modules.pop('warnings', None); "
        "print(script_code._may_cache())"
    )
    run = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    assert run.stdout == f"{may_cache}\n"
