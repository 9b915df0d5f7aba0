"""Finds modules as a program would, without importing the packages that they are in.

Input: names of modules, paths of files, and a search path as in `sys.path`. Output: specs, names and search paths.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder

from instrument.diagnosis.python_arguments import ProgramKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from instrument.diagnosis.interpreter_facts import InterpreterFacts
    from instrument.diagnosis.launch import Launch


def search_path_of(launch: Launch, facts: InterpreterFacts) -> list[str]:
    """Return `sys.path` of the program of *launch*; *facts* are those of its interpreter."""
    command = launch.command
    if command.kind is ProgramKind.ARCHIVE:
        return [os.path.abspath(command.program), *facts.search_path]
    if facts.safe_path:
        return facts.search_path
    is_script = command.kind is ProgramKind.SCRIPT
    first = os.path.dirname(os.path.realpath(command.program)) if is_script else os.getcwd()
    return [first, *facts.search_path]


def own_search_path() -> list[str]:
    """Return `sys.path` of a program of this interpreter: a module, or a script in the working directory."""
    search_path = list(sys.path)
    if not sys.flags.safe_path:
        search_path[:1] = [os.getcwd()]
    return search_path


def find_module(name: str, search_path: list[str]) -> ModuleSpec | None:
    """Return the spec of the module *name*; None if it is not in *search_path* and not in the interpreter."""
    spec: ModuleSpec | None = None
    parts = name.split(".")
    for n, part in enumerate(parts):
        full_name = ".".join(parts[: n + 1])
        folders = search_path if spec is None else list(spec.submodule_search_locations or ())
        if not folders and spec is not None:
            return None
        try:
            spec = PathFinder.find_spec(full_name, folders)
        except KeyError:  # for a namespace package in a package that is not imported
            spec = ModuleSpec(full_name, None, is_package=True)
            candidates = [os.path.join(folder, part) for folder in folders]
            spec.submodule_search_locations = [folder for folder in candidates if os.path.isdir(folder)]
        except (ImportError, ValueError):
            return None
        if spec is None and n == 0:
            spec = BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name)
        if spec is None:
            return None
    return spec


def name_of_file(path: str, search_path: list[str]) -> str | None:
    """Return the shortest name by which the file *path* can be imported from *search_path*; None if there is none."""
    names = []
    for entry in search_path:
        folder = os.path.abspath(entry).rstrip(os.sep) + os.sep
        if path.startswith(folder):
            parts = os.path.splitext(path[len(folder) :])[0].split(os.sep)
            if parts[-1] == "__init__":
                parts.pop()
            if parts and all(part.isidentifier() for part in parts):
                names.append(".".join(parts))
    return min(names, key=len, default=None)
