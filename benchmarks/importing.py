"""Measure the cost of importing a large package while it is counted.

The name of an importable package goes in. A table comes out: CPU seconds and peak memory of a process that imports it,
after the import and after its counts were read. The modes are "plain", "cold" (all code is rewritten) and
"warm" (all code is in the cache). The modes take turns in fresh processes, and each ratio is that of one round. For
comparison with the cold import, `bytecode` is the time in which that package disassembles and assembles the same code.

    python benchmarks/importing.py sympy
    python benchmarks/importing.py networkx --path ~/libraries --rounds 9 --placement line
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from overhead import machine

HERE = Path(__file__).resolve().parent
MODES = ("plain", "cold", "warm")

COMMAND = """\
from time import process_time
begin = process_time()
__import__(package)
seconds = process_time() - begin
megabytes = peak()
"""


def work(mode, package, placement):
    """Import *package* in *mode*, and print the time and the memory that it took."""
    names = {"__name__": "__main__", "__file__": "command", "package": package, "peak": peak}
    if mode == "bytecode":
        concrete, whole = taken_apart(package)
        return {"seconds": concrete, "whole": whole}
    if mode == "plain":
        exec(COMMAND, names)
        return {"seconds": names["seconds"], "megabytes": names["megabytes"], "read": names["megabytes"]}
    sys.path.insert(0, str(HERE.parent))
    import instrument

    outside = sorted({sysconfig.get_path("stdlib"), sys.base_prefix})
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=outside, placement=placement)
    tracer.runctx(COMMAND, names, names)
    n_lines = len(tracer.results().counts)
    return {"seconds": names["seconds"], "megabytes": names["megabytes"], "lines": n_lines, "read": peak()}


def taken_apart(package):
    """Return the CPU seconds that `bytecode` needs to take apart and put together all code that is measured when
    *package* is imported: by its lowest layer, which cannot change anything; and as one does to insert instructions.
    """
    import types
    from time import process_time

    from bytecode import Bytecode, ConcreteBytecode

    __import__(package)
    outside = tuple(f"{path}{os.sep}" for path in (sysconfig.get_path("stdlib"), sys.base_prefix))
    codes = []
    for name, module in list(sys.modules.items()):
        file, loader = getattr(module, "__file__", None), getattr(getattr(module, "__spec__", None), "loader", None)
        if not file or file.startswith(outside) or "bytecode" in name or not hasattr(loader, "get_code"):
            continue
        code = loader.get_code(name) if name not in ("__main__", "overhead") else None
        codes += [code] if code is not None else []
    for code in codes:
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    begin = process_time()
    for code in codes:
        made = ConcreteBytecode.from_code(code, extended_arg=True)
        made.to_code(stacksize=code.co_stacksize, compute_exception_stack_depths=False)
    between = process_time()
    for code in codes:
        Bytecode.from_code(code).to_code()
    return between - begin, process_time() - between


def peak():
    """Return the most memory that this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(mode, package, arguments, cache):
    """Call `work` in a fresh process and return the numbers that it prints."""
    command = [sys.executable, "-W", "ignore", __file__, "--work", mode, package, arguments.placement]
    paths = [str(Path(path).expanduser().resolve()) for path in arguments.path]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "INSTRUMENT_CACHE": cache, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"importing {package}, {mode}, failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("package", help="name of a package that this Python can import")
    parser.add_argument("--path", action="append", default=[], help="folder to import it from; may be repeated")
    parser.add_argument("--rounds", type=int, default=7, help="of plain and warm runs (default: %(default)s)")
    parser.add_argument("--placement", choices=["minimal", "line"], default="minimal")
    arguments = parser.parse_args()
    if not arguments.path and importlib.util.find_spec(arguments.package) is None:
        parser.error(f"there is no package {arguments.package!r} here; --path says where to look")
    print(*machine(), sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        run("plain", arguments.package, arguments, "")  # leaves bytecode files behind
        told = {"cold": [run("cold", arguments.package, arguments, folder)], "plain": [], "warm": []}
        for turn in range(arguments.rounds):
            for mode in ("plain", "warm")[:: 1 if turn % 2 else -1]:
                told[mode].append(run(mode, arguments.package, arguments, folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
        alone = run("bytecode", arguments.package, arguments, "")
    print(f"\n{arguments.package}, {told['warm'][0]['lines']} lines executed; the cache holds {size:.1f} MB\n")
    print(f"{'':8}{'seconds':>10}{'ratio (range)':>26}{'megabytes':>12}{'ratio':>8}{'with reading':>15}{'ratio':>8}")
    plain = told["plain"]
    for mode in MODES:
        rows = told[mode]
        beside = plain if len(rows) == len(plain) else plain[:1]
        ratios = [row["seconds"] / base["seconds"] for row, base in zip(rows, beside, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        base = statistics.median(row["megabytes"] for row in plain)
        memory, read = (statistics.median(row[when] for row in rows) for when in ("megabytes", "read"))
        seconds = statistics.median(row["seconds"] for row in rows)
        print(f"{mode:8}{seconds:10.3f}{spread:>26}{memory:12.1f}{memory / base:8.2f}{read:15.1f}{read / base:8.2f}")
    cold = told["cold"][0]["seconds"] - statistics.median(row["seconds"] for row in plain)
    needed = alone["seconds"]
    print(f"\nrewriting takes {cold:.1f} s: {cold / needed:.2f} times the {needed:.1f} s of ConcreteBytecode alone,")
    print(f"{cold / alone['whole']:.2f} times the {alone['whole']:.1f} s of Bytecode alone")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(*sys.argv[2:])))
    else:
        main()
