"""Tests of instrument/config/reports.py: patterns of sources, regular expressions, and numbers."""

import pytest

from instrument.config import read_settings
from instrument.config.reports import read_expressions, read_number, read_patterns
from instrument.errors import ConfigError


def test_patterns_in_the_file_start_from_its_folder(tmp_path):
    """Patterns that begin with a star stay as they are. A value of another type is refused."""
    inner = tmp_path / "inner"
    inner.mkdir()
    toml = '[tool.instrument]\nomit = ["tests", "./src/*_pb2.py", "*/migrations/*"]\ninclude = "src/"\n'
    (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")

    assert read_patterns("omit", str(inner)) == [f"{tmp_path}/tests", f"{tmp_path}/src/*_pb2.py", "*/migrations/*"]
    assert read_patterns("include", str(inner)) == [f"{tmp_path}/src"]
    assert read_settings({}, {"INSTRUMENT": "1"}, str(inner)).scope == ()

    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nomit = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="key 'omit' is a number; it must be a list of patterns"):
        read_patterns("omit", str(inner))
    assert read_patterns("include", str(inner)) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", "key 'exclude-also' is a number; it must be a list of regular expressions"),
        ("[3]", "key 'exclude-also' is a list; it must be a list of regular expressions"),
        ("['(']", r"key 'exclude-also': '\('? is no regular expression: missing \)"),
        ("['x', '']", "key 'exclude-also': an empty regular expression matches every line; remove it"),
        ("['a{99999999999999999999}']", "is no regular expression: the repetition number is too large"),
    ],
)
def test_bad_expressions_are_named(tmp_path, value, message):
    """The message has the file, the key and the expression."""
    (tmp_path / "pyproject.toml").write_text(f"[tool.instrument]\nexclude-also = {value}\n")

    with pytest.raises(ConfigError, match=message) as raised:
        read_expressions("exclude-also", str(tmp_path))
    assert f"{tmp_path}/pyproject.toml, [tool.instrument]" in str(raised.value)


def test_expressions_have_the_flags_of_coverage_py(tmp_path):
    """`^` and `$` match at each line. A key that is not there is no empty list."""
    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nexclude_also = '^b$'\nexclude-lines = []\n")
    [expression] = read_expressions("exclude-also", str(tmp_path))

    assert expression.search("a\nb\nc")
    assert read_expressions("exclude-lines", str(tmp_path)) == []
    assert read_expressions("partial-also", str(tmp_path)) is None


def test_numbers_have_their_place_with_them(tmp_path):
    """A boolean is no number, although Python has it for one."""
    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nfail_under = 87.5\nprecision = 2\n")
    label = f"{tmp_path}/pyproject.toml, [tool.instrument], key"

    assert read_number("fail-under", str(tmp_path)) == (87.5, f"{label} 'fail-under'")
    assert read_number("precision", str(tmp_path)) == (2, f"{label} 'precision'")
    assert read_number("fail-under-hits", str(tmp_path)) is None
    (tmp_path / "pyproject.toml").write_text("[tool.instrument]\nprecision = true\n")
    with pytest.raises(ConfigError, match="key 'precision' is a boolean; it must be a number"):
        read_number("precision", str(tmp_path))
