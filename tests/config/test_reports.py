"""Tests of instrument/config/reports.py: patterns of the sources to report."""

import pytest

from instrument.config import read_settings
from instrument.config.reports import read_patterns
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
