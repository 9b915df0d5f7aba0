"""Recognises programs that no start-up file reaches, or that are no Python programs, and says so.

Input: paths of programs. Output: errors whose messages name the reason and the way out.
"""

from __future__ import annotations

import mmap
import os
import zipfile

from instrument.diagnosis.interpreters import SHELLS
from instrument.diagnosis.wrappers import question_instead
from instrument.errors import InstrumentError, NotPythonError, UnknownCommandError

#: The way out for interpreters that execute no start-up file.
START_FROM_CODE = "its own code can start counting: instrument.start() (README, limit no-start-up-file)"

#: PyInstaller writes these bytes within the last _FROZEN_END bytes of its programs.
_FROZEN_MARK = b"MEI\014\013\012\013\016"
_FROZEN_END = 1 << 16


def refuse_pex(path: str) -> None:
    """Raise NotPythonError if the archive or folder *path* is a pex."""
    if _is_pex(path):
        raise NotPythonError(
            f"{path} is a pex, which starts its interpreter without the environment's variables, "
            f"so INSTRUMENT does not reach it; {START_FROM_CODE}"
        )


def _is_pex(path: str) -> bool:
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "PEX-INFO"))
    try:
        with zipfile.ZipFile(path) as archive:
            return "PEX-INFO" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def error_of_other_program(path: str, arguments: list[str]) -> InstrumentError:
    """Return the error for the program *path*, which no interpreter of Python runs, with its *arguments*.

    It is a NotPythonError if the program is frozen; else a UnknownCommandError, because the program may start Python.
    """
    each = f"a Python program that it starts is counted if INSTRUMENT reaches it{question_instead(arguments)}"
    if _read_start(path, 2) == b"#!":
        return UnknownCommandError(f"{path} is a script of another language; {each}")
    if _FROZEN_MARK in _read_end(path, _FROZEN_END):
        return NotPythonError(f"{path} is frozen by PyInstaller, and executes no start-up file; {START_FROM_CODE}")
    if _embeds_python(path):
        return UnknownCommandError(
            f"{path} is a compiled program with an interpreter inside it. It is counted if it executes the start-up "
            f"file in its site-packages; {each}"
        )
    if os.path.basename(path) in SHELLS:
        return UnknownCommandError(f"{path} is a shell; {each}")
    return UnknownCommandError(f"{path} is a compiled program; {each}")


def _embeds_python(path: str) -> bool:
    """Return whether the compiled program *path* calls the initialisation of an interpreter."""
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"Py_Initialize") >= 0
    except (OSError, ValueError):
        return False


def _read_start(path: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _read_end(path: str, size: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except OSError:
        return b""
