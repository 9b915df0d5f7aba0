"""The code of a script comes from the cache if its text is the same, and compiling it prints nothing."""

import marshal
import sys

import pytest

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
