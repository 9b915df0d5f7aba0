"""Measure the cost of importing a large package while it is counted, beside other tools.

The name of an importable package goes in. A table comes out, with a row for each mode. The columns are CPU seconds of
the import, CPU seconds of the whole process, and its peak memory, each beside those of a plain process.

- `first` and `warm`: under `Trace`, the standard library ignored. First all code is rewritten, then it is in the cache.
- `all first`, `all warm`: likewise, and nothing is ignored.
- `process first`, `process warm`: INSTRUMENT names the package.
- `coverage.py` (its default core) and `slipcover`: if they are installed. They have no cache.

The modes take turns in fresh processes, and each ratio is that of one round. For comparison with the first import,
`bytecode` is the time in which that package disassembles and assembles the same code.

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
#: Modes in which the cache is filled, and modes in which it is full.
FIRST = ("first", "all first", "process first")
WARM = ("warm", "all warm", "process warm")
PEERS = {"coverage.py": "coverage", "slipcover": "slipcover"}

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
    if mode in PEERS:
        globals()[f"run_{PEERS[mode]}"](package, names)
        return {"seconds": names["seconds"], "read": peak()}
    if mode == "plain" or mode.startswith("process"):
        exec(COMMAND, names)
        return {"seconds": names["seconds"], "megabytes": names["megabytes"], "read": names["megabytes"]}
    sys.path.insert(0, str(HERE.parent))
    import instrument

    outside = [] if mode.startswith("all") else sorted({sysconfig.get_path("stdlib"), sys.base_prefix})
    tracer = instrument.Trace(count=1, trace=0, ignoredirs=outside, placement=placement)
    tracer.runctx(COMMAND, names, names)
    n_lines = len(tracer.results().counts)
    return {"seconds": names["seconds"], "megabytes": names["megabytes"], "lines": n_lines, "read": peak()}


def run_coverage(package, names):
    """Import *package* under coverage.py, which measures its lines with the core that it chooses itself."""
    import coverage

    tool = coverage.Coverage(data_file=None, config_file=False, source_pkgs=[package])
    tool.start()
    exec(COMMAND, names)
    tool.stop()
    tool.get_data()


def run_slipcover(package, names):
    """Import *package* under slipcover, set up as by its command line."""
    import slipcover

    folder = Path(importlib.util.find_spec(package).origin).parent
    tool, matcher = slipcover.Slipcover(source=[str(folder)]), slipcover.FileMatcher(sources=[str(folder)])
    slipcover.wrap_spec_from_file_location(tool, matcher)
    with slipcover.ImportManager(tool, matcher):
        exec(COMMAND, names)
    tool.get_coverage()


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
    """Call `work` in a fresh process, and return the numbers that it prints, with its CPU seconds and peak memory."""
    command = [sys.executable, "-W", "ignore", __file__, "--work", mode, package, arguments.placement]
    cache = cache and os.path.join(cache, mode.removesuffix("first").removesuffix("warm").strip() or "trace")
    paths = [str(Path(path).expanduser().resolve()) for path in arguments.path]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "INSTRUMENT_CACHE": cache}
    for name in ("PYTHONDONTWRITEBYTECODE", "INSTRUMENT"):
        environment.pop(name, None)
    if mode.startswith("process"):
        paths.insert(0, str(HERE.parent / "instrument" / "bootstrap"))
        environment |= {"INSTRUMENT": package, "INSTRUMENT_DIR": os.path.join(cache, "data")}
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        output = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"importing {package}, {mode}, failed")
    told = json.loads(output.splitlines()[-1])
    return told | {"process": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}


def print_table(told, modes):
    """Print one row for each of *modes*: *told* has the numbers of its runs."""
    print(f"{'':14}{'import, s':>10}{'ratio (range)':>22}{'process, s':>12}{'ratio':>7}{'peak, MB':>10}{'ratio':>7}")
    plain = told["plain"]
    for mode in modes:
        rows = told[mode]
        beside = plain if len(rows) == len(plain) else plain[:1]
        medians, ratios = {}, {}
        for key in ("seconds", "process", "peak"):
            medians[key] = statistics.median(row[key] for row in rows)
            ratios[key] = [row[key] / base[key] for row, base in zip(rows, beside, strict=True)]
        middle = {key: statistics.median(each) for key, each in ratios.items()}
        spread = f"{middle['seconds']:.2f} ({min(ratios['seconds']):.2f}..{max(ratios['seconds']):.2f})"
        print(
            f"{mode:14}{medians['seconds']:10.3f}{spread:>22}{medians['process']:12.3f}{middle['process']:7.2f}"
            f"{medians['peak']:10.1f}{middle['peak']:7.2f}"
        )


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
    peers = [mode for mode, module in PEERS.items() if importlib.util.find_spec(module) is not None]
    modes = ["plain", *WARM, *peers]
    with tempfile.TemporaryDirectory() as folder:
        run("plain", arguments.package, arguments, "")  # leaves bytecode files behind
        run("process warm", "json", arguments, folder)  # leaves the modules of a start behind
        told = {mode: [run(mode, arguments.package, arguments, folder)] for mode in FIRST}
        told |= {mode: [] for mode in modes}
        for turn in range(arguments.rounds):
            for mode in modes[:: 1 if turn % 2 else -1]:
                told[mode].append(run(mode, arguments.package, arguments, folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
        alone = run("bytecode", arguments.package, arguments, "")
    print(f"\n{arguments.package}, {told['warm'][0]['lines']} lines executed; the cache holds {size:.1f} MB\n")
    print_table(told, ["plain", *[mode for pair in zip(FIRST, WARM, strict=True) for mode in pair], *peers])
    plain = told["plain"]
    cold = told["first"][0]["seconds"] - statistics.median(row["seconds"] for row in plain)
    needed = alone["seconds"]
    print(f"\nrewriting takes {cold:.1f} s: {cold / needed:.2f} times the {needed:.1f} s of ConcreteBytecode alone,")
    print(f"{cold / alone['whole']:.2f} times the {alone['whole']:.1f} s of Bytecode alone")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        print(json.dumps(work(*sys.argv[2:])))
    else:
        main()
