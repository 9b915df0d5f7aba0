"""Reads settings in a folder with a pyproject.toml, for tests of `instrument.config`."""

from instrument.config import read_settings


def settings(tmp_path, options=None, toml=None, **environment):
    """Return the settings in a folder with these *options*, *environment* and text of a pyproject.toml."""
    if toml is not None:
        (tmp_path / "pyproject.toml").write_text(toml, encoding="utf-8")
    return read_settings(options, environment, str(tmp_path))
