"""The process that is timed: one workload under one tool.

A request comes in, a JSON file named on the command line. The answer goes to the file that the request names. A request
has the *tool*, the *kind* of workload with its parameters, and the number of *loops*. It also has the directories in
*scope*, those to *ignore*, the modules to forget before the program imports them, and whether *lines* are wanted.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import sys
import types
from pathlib import Path
from time import process_time

HERE = Path(__file__).resolve().parent

# The text that runs under the tool. The functions of this module that it calls are out of scope.
MICRO = """\
import {name} as program
imported()
program.main(1)
begin = process_time()
result = program.main(loops)
seconds = process_time() - begin
"""
SUITE = """\
import pytest
status = int(pytest.main(arguments))
seconds = process_time() - begin
"""


def described(value):
    """Return text that is the same for equal results, whatever their addresses."""
    if isinstance(value, (bool, int, float, str, bytes, type(None))):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(described, value))})"
    if isinstance(value, dict):
        return f"dict({', '.join(f'{described(key)}: {described(item)}' for key, item in value.items())})"
    return type(value).__qualname__


def micro(tool, request):
    namespace = {"__name__": "__main__", "__file__": "command", "loops": request["loops"],
                 "imported": tool.imported, "process_time": process_time}
    sys.path.insert(0, request["folder"])
    tool.run(MICRO.format(name=request["name"]), "<string>", namespace)
    return namespace["seconds"], described(namespace["result"])


def program(tool, request, stand_in):
    """Run a program of pyperformance as the main module, with `stand_in` in place of pyperf."""
    path = Path(request["file"])
    runs = stand_in.Runs(request["loops"], tool.imported)
    sys.modules["pyperf"] = stand_in.make(runs)
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path), *request["arguments"]]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__file__ = str(path)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        tool.run(path.read_bytes(), str(path), vars(main))
    if not runs.seconds:
        raise RuntimeError("the program timed nothing")
    return runs.seconds, f"{described(runs.returned)}, printed {len(output.getvalue())} characters"


def suite(tool, request, begin):
    """Run a package's tests; the time includes all imports, that of the tool too."""
    namespace = {"__name__": "__main__", "__file__": "command", "arguments": request["arguments"],
                 "process_time": process_time, "begin": begin}
    sys.argv[1:] = []
    tool.run(SUITE, "<string>", namespace)
    return namespace["seconds"], f"pytest's status {namespace['status']}"


def main(path):
    request = json.loads(Path(path).read_text(encoding="utf-8"))
    random.seed(0)
    begin = process_time()
    # Ours, and the `instrument` that is measured: last, where they are in nobody's way.
    sys.path += [str(HERE.parent), request["instrument"]]
    from peers import stand_in, tools

    tool = tools.make(request["tool"], request["scope"], request["ignore"])
    for name in [*sys.modules]:
        if name.partition(".")[0] in request["forget"]:
            del sys.modules[name]
    if request["kind"] == "micro":
        seconds, result = micro(tool, request)
    elif request["kind"] == "program":
        seconds, result = program(tool, request, stand_in)
    else:
        seconds, result = suite(tool, request, begin)
    answer = {"seconds": seconds, "result": hashlib.sha256(result.encode()).hexdigest()[:16], "shown": result[:200]}
    if request["lines"]:
        # As a list: JSON has no numbers for keys.
        answer["lines"] = {file: sorted(lines.items()) for file, lines in tool.lines().items()}
    answer["total"] = process_time()
    partial = request["answer"] + ".part"
    Path(partial).write_text(json.dumps(answer), encoding="utf-8")
    os.replace(partial, request["answer"])


if __name__ == "__main__":
    main(sys.argv[1])
