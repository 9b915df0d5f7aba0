"""Check that programs behave the same while they are counted. The programs are test suites.

`stdlib` runs modules of CPython's own test suite, `packages` runs the test suites of packages from the package index.
Each suite runs plain and counted, in fresh processes, with no file ignored. So the standard library, the test
framework, the code under test and the tests are all rewritten. A table comes out with the number of counted lines, and
with each test whose verdict differs.

A suite with a different verdict runs once more on both sides, because some tests depend on the load of the machine. A
verdict that differs twice is a difference, one that differs once is shown as unstable.

    python benchmarks/no_harm.py stdlib                         over a hundred modules, two at a time
    python benchmarks/no_harm.py stdlib --modules test_json test_enum
    python benchmarks/no_harm.py packages                       nine packages, fetched with pip into a temporary folder
    python benchmarks/no_harm.py packages --packages attrs --placement line --json attrs.json

The exit status is 1 if there is a difference that is not explained below.
"""

import argparse
import collections
import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from overhead import machine

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# Modules of CPython's tests: of the language, of its data types and of the library, all within seconds when plain.
MODULES = """
test_abc test_argparse test_ast test_asyncgen test_asyncio.test_futures test_asyncio.test_locks
test_asyncio.test_queues test_asyncio.test_runners test_asyncio.test_streams test_asyncio.test_taskgroups
test_asyncio.test_timeouts test_augassign test_base64 test_baseexception test_bisect test_builtin test_bytes
test_calendar test_call test_class test_cmd test_codecs test_collections test_colorsys test_compare
test_configparser test_contains test_context test_contextlib test_contextlib_async test_copy test_copyreg
test_coroutines test_csv test_dataclasses test_decimal test_decorators test_defaultdict test_deque test_descr
test_dict test_dictviews test_difflib test_email test_enum test_enumerate test_except_star test_exception_group
test_exceptions test_extcall test_filecmp test_fileinput test_fnmatch test_fractions test_fstring test_functools
test_generators test_genericalias test_genexps test_getopt test_glob test_grammar test_graphlib test_heapq
test_hmac test_html test_htmlparser test_inspect test_ipaddress test_isinstance test_iter test_json test_keyword
test_linecache test_list test_listcomps test_mailbox test_metaclass test_mimetypes test_minidom
test_named_expressions test_netrc test_ntpath test_operator test_optparse test_ordered_dict test_patma test_pkgutil
test_plistlib test_positional_only_arg test_posixpath test_pprint test_property test_quopri test_raise test_random
test_reprlib test_rlcompleter test_sched test_scope test_shelve test_shlex test_string test_super test_syntax
test_tempfile test_textwrap test_threading_local test_timeit test_tokenize test_traceback test_types test_typing
test_unittest test_unpack_ex test_urlparse test_userdict test_userlist test_userstring test_weakref test_weakset
test_with test_xml_etree test_yield_from
""".split()  # noqa: SIM905 - a hundred names read better without quotes

# Test → why its verdict may differ. A name may end in `*`.
LOOKS_AT_ITS_OWN_CODE = ("takes the code object of one of its own functions, which is rewritten, and compares it with "
                         "what the plain one would be, in its constants, its stack size or its exception table")
NO_LINE = "asks for the line of every jump of its own code; what records an exception has none, for debuggers' sake"
EXPLAINED = {
    "test.test_patma.TestSourceLocations.test_jump_threading": NO_LINE,
    # bytecode, on itself
    "tests.test_bytecode.BytecodeTests::test_empty_try_block": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_bytecode.BytecodeTests::test_exception_table_round_trip": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_bytecode.BytecodeTests::test_try_block_around_extended_arg": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_cfg.CFGRoundTripTests::*": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_cfg.CFGStacksizeComputationTests::test_stack_size_*": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_concrete.ConcreteBytecodeTests::test_to_code_lnotab": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_concrete.ConcreteFromCodeTests::test_expected_arg_with_many_consts": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_concrete.ConcreteFromCodeTests::test_extended_arg_unpack_ex": LOOKS_AT_ITS_OWN_CODE,
    "tests.test_instr.InstrTests::test_code_object_containing_mutable_data": LOOKS_AT_ITS_OWN_CODE,
}

# Package: the tests of its source distribution that run, and the requirements of these tests besides pytest. The
# versions are fixed, so that two runs of this script can be compared.
PACKAGES = {
    "attrs==26.1.0": ("tests", ["hypothesis", "cloudpickle"]),
    "boltons==26.2.0": ("tests", []),
    "bytecode==0.19.1": ("tests", []),
    "click==8.5.1": ("tests", []),
    "jinja2==3.1.6": ("tests", ["trio"]),
    "more-itertools==11.2.1": ("tests", []),
    "pluggy==1.7.0": ("testing", []),
    "sqlparse==0.6.1": ("tests", []),
    "toolz==1.2.0": ("toolz", []),
}

# Arguments of pytest. Stress tests of click take many minutes. Its own settings, which are not used here, skip them.
SELECTED = {"click": ["-m", "not stress"]}

Told = collections.namedtuple("Told", "verdicts seconds lines")


# In the process whose tests are run ------------------------------------------------------------------------------


class Verdicts(unittest.TestResult):
    """Collects one verdict for each test; a failed subtest fails its test."""

    def __init__(self):
        super().__init__()
        self.verdicts = {}
        # An id can occur twice (parametrized classes): the occurrences are numbered.
        self.seen = collections.Counter()

    def startTest(self, test):
        super().startTest(test)
        self.seen[test.id()] += 1

    def note(self, test, verdict, error=None):
        name = test.id()
        if self.seen[name] > 1:
            name += f" #{self.seen[name]}"
        detail = "" if error is None else self._exc_info_to_string(error, test)
        self.verdicts.setdefault(name, (verdict, detail))

    def addSuccess(self, test):
        self.note(test, "ok")

    def addFailure(self, test, err):
        self.note(test, "failed", err)

    def addError(self, test, err):
        self.note(test, "error", err)

    def addSkip(self, test, reason):
        self.note(test, "skipped")

    def addExpectedFailure(self, test, err):
        self.note(test, "failed as expected")

    def addUnexpectedSuccess(self, test):
        self.note(test, "passed unexpectedly")

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.note(test, "failed" if issubclass(err[0], test.failureException) else "error", err)


def run_unittests(module):
    """Run the tests of CPython's *module*; return {id: (verdict, detail)}."""
    result = Verdicts()
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{module}")
    except unittest.SkipTest:
        return {module: ("skipped", "")}
    suite.run(result)
    return result.verdicts


def run_pytest(*arguments):
    import pytest
    return pytest.main(list(arguments))


def work(placement, what, answer, prefix, *arguments):
    """Call run_unittests or run_pytest under *placement*, and write the results to the file *answer*.

    The lines reported are those in files whose names begin with *prefix*.
    """
    # The tests must not find the scripts beside this one; the package comes last, as an installed one would.
    sys.path[:] = [entry for entry in sys.path if entry != str(HERE)] + [str(ROOT)]
    sys.argv[1:] = []
    function = {"unittest": run_unittests, "pytest": run_pytest}[what]
    lines = 0
    begin = time.monotonic()
    if placement == "plain":
        found = function(*arguments)
    else:
        tracer = importlib.import_module("instrument.trace").Trace(count=1, trace=0, placement=placement)
        found = tracer.runfunc(function, *arguments)
        lines = sum(name.startswith(prefix) for name, _ in tracer.results().counts)
    seconds = time.monotonic() - begin
    Path(answer).write_text(json.dumps({"found": found, "seconds": seconds, "lines": lines}), encoding="utf-8")


# In the process that compares ------------------------------------------------------------------------------------


def call(placement, what, prefix, arguments, folder, timeout, path=()):
    """Run `work` in a fresh process in *folder*; return its answer, or a sentence about how it ended instead."""
    handle, answer = tempfile.mkstemp(suffix=".json", dir=folder.parent)
    os.close(handle)
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(path)}
    if not path:
        del environment["PYTHONPATH"]
    command = [sys.executable, str(HERE / "no_harm.py"), "--work", placement, what, answer, prefix, *arguments]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout, encoding="utf-8", errors="replace")
    except subprocess.TimeoutExpired:
        return f"stopped after {timeout} s"
    written = Path(answer).read_text(encoding="utf-8")
    if not written:
        return f"ended with status {done.returncode}, without an answer:\n{(done.stdout + done.stderr)[-3000:]}"
    return json.loads(written)


def told_by_unittest(placement, module, timeout):
    with tempfile.TemporaryDirectory() as outside:
        # Tests leave things where they run: a folder of their own.
        folder = Path(outside) / "cwd"
        folder.mkdir()
        answer = call(placement, "unittest", "", [module], folder, timeout)
    if isinstance(answer, str):
        return Told({module: ("crashed", answer)}, 0.0, 0)
    return Told(answer["found"], answer["seconds"], answer["lines"])


def read_junit(path):
    """Return {test: (verdict, detail)} from pytest's report."""
    verdicts = {}
    for case in ET.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        # Addresses in parameters differ from run to run.
        name = re.sub(r"0x[0-9a-f]+", "0x…", name)
        verdict, detail = "ok", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                verdict, detail = child.tag, child.text or child.get("message", "")
        while name in verdicts:
            name += "+"
        verdicts[name] = (verdict, detail)
    return verdicts


def fetch(package, extras, folder):
    """Unpack the source distribution of *package* in *folder* and install it there; return (source, installed)."""
    def pip(*arguments):
        done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments],
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"pip {' '.join(arguments)}:\n{done.stderr}")

    name = package.partition("==")[0]
    installed = folder / "installed"
    pip("download", "--no-deps", "--no-binary", name, "--dest", str(folder), package)
    archive, = folder.glob("*.tar.gz")
    pip("install", "--root-user-action=ignore", "--target", str(installed), str(archive), *extras)
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "source", filter="data")
    source, = (folder / "source").iterdir()
    return source, installed


def told_by_pytest(placement, source, installed, tests, selected, timeout):
    report = source.parent.parent / f"{placement}.xml"
    report.unlink(missing_ok=True)
    # Test modules come through the import system, and are rewritten by us, not by pytest: --assert=plain.
    arguments = [tests, *selected, "--assert=plain", f"--junitxml={report}", "-p", "no:cacheprovider", "-p", "no:xdist",
                 "-q", "-o", "addopts=", "--continue-on-collection-errors"]
    # The package's own lines and its tests', not the many of pytest and of the standard library.
    answer = call(placement, "pytest", str(source.parent.parent), arguments, source, timeout, path=[str(installed)])
    if isinstance(answer, str):
        return Told({tests: ("crashed", answer)}, 0.0, 0)
    return Told(read_junit(report), answer["seconds"], answer["lines"])


def reason(name):
    """Return why the verdict on the test *name* may differ, or None."""
    return next((why for known, why in EXPLAINED.items()
                 if (name.startswith(known[:-1]) if known.endswith("*") else name == known)), None)


ONE_AT_A_TIME = threading.Lock()


def compare(name, tell, placement):
    """Return a row of the table: both runs of *tell* (placement → Told), and the tests on which they differ twice."""
    def differing(plain, counted):
        crashed = {test for told in (plain, counted) for test, (verdict, _) in told.verdicts.items()
                   if verdict == "crashed"}
        if crashed:
            # One line for a suite that did not come to its end, not one for each of its tests.
            return crashed
        return {test for test in plain.verdicts.keys() | counted.verdicts.keys()
                if plain.verdicts.get(test, ["missing"])[0] != counted.verdicts.get(test, ["missing"])[0]}

    plain, counted = tell("plain"), tell(placement)
    different = differing(plain, counted)
    unstable = set()
    if different:
        with ONE_AT_A_TIME:
            plain_again, counted_again = tell("plain"), tell(placement)
        different_again = differing(plain_again, counted_again)
        unstable = different - different_again
        different &= different_again
    return {
        "name": name,
        "tests": len(plain.verdicts),
        "verdicts": dict(collections.Counter(verdict for verdict, _ in plain.verdicts.values())),
        "lines": counted.lines,
        "seconds": [plain.seconds, counted.seconds],
        "unstable": sorted(unstable),
        "differences": {test: {"plain": plain.verdicts.get(test, ["missing", ""]),
                               "counted": counted.verdicts.get(test, ["missing", ""]),
                               "explained": reason(test) is not None} for test in sorted(different)},
    }


def show(row):
    """Print one row of the table."""
    kinds = row["verdicts"]
    good, skipped = kinds.get("ok", 0), kinds.get("skipped", 0)
    other = row["tests"] - good - skipped
    plain, counted = row["seconds"]
    unexplained = sum(not one["explained"] for one in row["differences"].values())
    explained = len(row["differences"]) - unexplained
    notes = [text for number, text in ((unexplained, f"{unexplained} DIFFERENT"),
                                       (explained, f"{explained} different, explained"),
                                       (len(row["unstable"]), f"{len(row['unstable'])} unstable")) if number]
    print(f"{row['name']:<30}{row['tests']:6}{good:6}{skipped:6}{other:6}{row['lines']:9}{plain:9.1f}{counted:9.1f}  "
          f"{', '.join(notes) or 'same'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["stdlib", "packages"])
    parser.add_argument("--modules", nargs="+", default=MODULES, help="modules of CPython's tests, such as test_json")
    parser.add_argument("--packages", nargs="+", default=list(PACKAGES), help="names, with or without version")
    parser.add_argument("--placement", choices=["minimal", "line"], default="minimal")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: %(default)s)")
    parser.add_argument("--timeout", type=int, help="seconds for one run (default: 300, packages: 900)")
    parser.add_argument("--details", action="store_true", help="show the traceback of each difference")
    parser.add_argument("--json", metavar="FILE", help="write everything there")
    arguments = parser.parse_args()
    timeout = arguments.timeout or (300 if arguments.what == "stdlib" else 900)

    def check_module(module):
        return compare(module, lambda placement: told_by_unittest(placement, module, timeout),
                       arguments.placement)

    def check_package(package):
        tests, extras = PACKAGES[package]
        with tempfile.TemporaryDirectory() as folder:
            source, installed = fetch(package, extras, Path(folder))
            selected = SELECTED.get(package.partition("==")[0], [])
            return compare(package, lambda placement: told_by_pytest(
                placement, source, installed, tests, selected, timeout), arguments.placement)

    if arguments.what == "stdlib":
        check, names = check_module, arguments.modules
    else:
        by_name = {key: package for package in PACKAGES for key in (package, package.partition("==")[0])}
        check, names = check_package, [by_name[name] for name in arguments.packages]
    print(*machine(), sep="\n")
    print(f"\n{'':<30}{'tests':>6}{'ok':>6}{'skip':>6}{'other':>6}{'lines':>9}{'plain s':>9}{'counted':>9}")
    begin = time.monotonic()
    rows = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for row in pool.map(check, names):
            show(row)
            rows.append(row)
    differences = [(test, one) for row in rows for test, one in row["differences"].items()]
    unexplained = [test for test, one in differences if not one["explained"]]
    print(f"\n{len(rows)} suites, {sum(row['tests'] for row in rows)} tests, {len(differences)} different verdicts, "
          f"{len(unexplained)} of them unexplained; {time.monotonic() - begin:.0f} s in all")
    for test, one in differences:
        print(f"{test}: plain {one['plain'][0]}, counted {one['counted'][0]}"
              f"{' (explained: it ' + reason(test) + ')' if one['explained'] else ''}")
        if arguments.details:
            print("    " + (one["counted"][1] or one["plain"][1]).strip().replace("\n", "\n    "))
    for row in rows:
        for test in row["unstable"]:
            print(f"{test}: differed once, and not again")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if unexplained else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        sys.exit(main())
