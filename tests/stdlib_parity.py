"""Compare the counts of `instrument` and `trace` for the standard library, as it runs under its own tests.

Names of modules come in, by default all of SUITES. A table goes out, with each line that differs, its counts and its
source. The tests of a module run in fresh processes: once without a tool, at least twice under `trace`, and once under
`instrument`. No file is ignored. Compared are the counts of the module and its tests ("own"), the counts of all other
files ("elsewhere"), and the verdict on each test. The files of the tools and frozen importlib are left out, as in
tests/oracle.py.

`trace` alone decides which lines and tests can be compared:

- A test that sets a trace function, or gets another verdict because one is set, is left out of all runs ("left out").
- A line that two runs of `trace` count differently is not compared ("noise").

    python tests/stdlib_parity.py                          all modules
    python tests/stdlib_parity.py textwrap json --placement line

The exit status is 1 if anything differs.
"""

import gc
import os
import pickle
import sys
import time
import trace

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

# Module: its tests in the package `test`. These modules are written in Python, and take some seconds under `trace`.
SUITES = {
    "abc": "test_abc",
    "argparse": "test_argparse",
    "ast": "test_ast",
    "base64": "test_base64",
    "bisect": "test_bisect",
    "calendar": "test_calendar",
    "cmd": "test_cmd",
    "code": "test_code_module",
    "collections": "test_collections",
    "colorsys": "test_colorsys",
    "configparser": "test_configparser",
    "contextlib": "test_contextlib",
    "copy": "test_copy",
    "copyreg": "test_copyreg",
    "csv": "test_csv",
    "dataclasses": "test_dataclasses",
    "difflib": "test_difflib",
    "email": "test_email",
    "enum": "test_enum",
    "filecmp": "test_filecmp",
    "fileinput": "test_fileinput",
    "fnmatch": "test_fnmatch",
    "fractions": "test_fractions",
    "functools": "test_functools",
    "genericpath": "test_genericpath",
    "getopt": "test_getopt",
    "gettext": "test_gettext",
    "glob": "test_glob",
    "graphlib": "test_graphlib",
    "heapq": "test_heapq",
    "hmac": "test_hmac",
    "html": "test_html",
    "html.parser": "test_htmlparser",
    "inspect": "test_inspect",
    "ipaddress": "test_ipaddress",
    "json": "test_json",
    "keyword": "test_keyword",
    "linecache": "test_linecache",
    "locale": "test_locale",
    "mimetypes": "test_mimetypes",
    "netrc": "test_netrc",
    "ntpath": "test_ntpath",
    "numbers": "test_abstract_numbers",
    "operator": "test_operator",
    "optparse": "test_optparse",
    "pathlib": "test_pathlib",
    "pkgutil": "test_pkgutil",
    "plistlib": "test_plistlib",
    "posixpath": "test_posixpath",
    "pprint": "test_pprint",
    "quopri": "test_quopri",
    "re": "test_re",
    "reprlib": "test_reprlib",
    "rlcompleter": "test_rlcompleter",
    "shelve": "test_shelve",
    "shlex": "test_shlex",
    "string": "test_string",
    "tempfile": "test_tempfile",
    "textwrap": "test_textwrap",
    "tokenize": "test_tokenize",
    "tomllib": "test_tomllib",
    "traceback": "test_traceback",
    "types": "test_types",
    "typing": "test_typing",
    "urllib.parse": "test_urlparse",
    "weakref": "test_weakref",
    "zipapp": "test_zipapp",
}

#: Files with loops that wait for other processes: the number of their rounds depends on the scheduler.
TIMED = ("subprocess.py", "selectors.py")

#: How often `trace` runs at the most, first to find tests to leave out, then to find lines that are noise.
ROUNDS = 5


# In the process that runs the tests ----------------------------------------------------------------------------
# This part imports little: the lines of a module are counted only if it is imported after the measurement has begun.


def run_tests(name, left_out, armed):
    """Run the tests *name* but those *left_out*; return {id: verdict} and the set of ids that set a trace function.

    An audit hook empties *armed* when a trace function is set.
    """
    import random
    import unittest

    from test import support as test_support

    class Verdicts(unittest.TestResult):
        """Collects one verdict for each test; a failed subtest fails its test."""

        def __init__(self):
            super().__init__()
            self.verdicts = {}
            self.setters = set()

        def startTest(self, test):
            armed["sys.settrace"] = None
            super().startTest(test)

        def stopTest(self, test):
            super().stopTest(test)
            if not armed:
                self.setters.add(test.id())

        def note(self, test, verdict, error=None):
            if error is not None:
                try:
                    verdict += f": {error[0].__name__}: {error[1]}"
                except Exception:
                    verdict += f": {error[0].__name__}"
            self.verdicts.setdefault(test.id(), verdict)

        def addSuccess(self, test):
            self.note(test, "ok")

        def addFailure(self, test, err):
            self.note(test, "failed", err)

        def addError(self, test, err):
            self.note(test, "error", err)

        def addSkip(self, test, reason):
            self.note(test, f"skipped: {reason}")

        def addExpectedFailure(self, test, err):
            self.note(test, "failed as expected")

        def addUnexpectedSuccess(self, test):
            self.note(test, "passed unexpectedly")

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self.note(test, "failed", err)

    def without_left_out(suite):
        tests = [test if not isinstance(test, unittest.TestSuite) else without_left_out(test) for test in suite]
        return type(suite)(test for test in tests if isinstance(test, unittest.TestSuite) or test.id() not in left_out)

    # As with `python -m test`, tests that are slow or need a network are left out. The seed makes samples the same.
    test_support.use_resources = []
    random.seed(0)
    result = Verdicts()
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName(f"test.{name}")
    except unittest.SkipTest as skip:
        return {name: f"skipped: {skip}"}, set()
    without_left_out(suite).run(result)
    return result.verdicts, result.setters


def files_of(names):
    """Return the paths of the modules *names*, and the folders, with a separator at the end, of those that are packages."""
    from importlib.util import find_spec

    specs = [find_spec(name) for name in names]
    return [spec.origin for spec in specs] + [
        folder + os.sep for spec in specs for folder in spec.submodule_search_locations or ()
    ]


def stirred(number):
    """Return objects for the caller to keep, with gaps of memory between them in an order that depends on *number*.

    New objects fill the gaps. So code that depends on the order of addresses, as that of sets and of sorting by `id`,
    takes another path in another run of `trace`, and its lines are recognised as noise.
    """
    n_gaps, stride = 2003, 97 + number
    kept = []
    for size in range(1, 480, 16):
        pairs = [(bytes(size), bytes(size + 1)) for _ in range(n_gaps)]
        kept += [one for one, _ in pairs]
        for index in range(n_gaps):
            pairs[index * stride % n_gaps] = None
    return kept


def work(tool, placement, module, number, request, answer):
    """Run the tests of *module* under *tool* and write a pickled dict with the results to the file *answer*.

    The file *request* holds the set of ids of tests to leave out. *number* varies the order of addresses.
    """
    from instrument import trace as instrument_trace
    from instrument.guest import isolation

    # Code that looks through the subclasses of a class finds the same ones under both tools.
    isolation.load()
    # The tests must not find the modules beside this file. The package comes last, like an installed one.
    sys.path[:] = [entry for entry in sys.path if entry not in (HERE, ROOT)] + [ROOT]
    sys.argv[1:] = []
    with open(request, "rb") as stream:
        left_out = pickle.load(stream)
    make_tracer, make_idle = {
        "plain": (None, None),
        "trace": (lambda: trace.Trace(count=1, trace=0), instrument_trace.Trace),
        "instrument": (lambda: instrument_trace.Trace(count=1, trace=0, placement=placement), trace.Trace),
    }[tool]
    # The hook is a method in C, because tests could notice one that is written in Python.
    armed = {}
    sys.addaudithook(armed.pop)
    namespace = {"run": run_tests, "arguments": (SUITES[module], left_out, armed)}
    counts, not_measured = {}, ()
    gc.collect()
    gc.disable()
    kept = stirred(int(number))
    if make_tracer is None:
        begin = time.monotonic()
        exec("results = run(*arguments)", namespace)
        seconds = time.monotonic() - begin
    else:
        # The first use of a tool prepares it, before the measurement.
        make_tracer().runctx("", {}, {})
        gc.collect()
        begin = time.monotonic()
        tracer = make_tracer()
        namespace["measure"] = lambda: tracer.runctx("results = run(*arguments)", namespace, namespace)
        # Some tests read the source of each frame of the stack. So both tools have a frame there, one of them idle.
        make_idle(count=0, trace=0).runctx("measure()", namespace, namespace)
        results = tracer.results()
        seconds = time.monotonic() - begin
        counts, not_measured = dict(results.counts), getattr(results, "not_measured", ())
    del kept
    verdicts, setters = namespace["results"]
    report = {
        "verdicts": verdicts,
        "setters": setters,
        "counts": counts,
        "not_measured": [repr(one) for one in not_measured],
        "seconds": seconds,
        "own": files_of([module, f"test.{SUITES[module]}"]),
        "library": os.path.dirname(os.__file__) + os.sep,
    }
    with open(answer, "wb") as stream:
        pickle.dump(report, stream)


# In the process that compares ------------------------------------------------------------------------------------


class Stopped(Exception):
    """A run took too long, or ended without an answer."""


class Runner:
    """Runs tests in fresh processes, one after the other, with working folders in *folder* that are empty at each start."""

    def __init__(self, folder, placement, timeout):
        self.folder = folder
        self.placement = placement
        self.timeout = timeout

    def run(self, tool, module, left_out=(), number=0):
        """Return the results that `work` writes for *module* under *tool*, without the tests *left_out*; raise Stopped."""
        import shutil
        import subprocess

        request, answer, output = (os.path.join(self.folder, name) for name in ("request", "answer", "output"))
        inside, temporary = os.path.join(self.folder, "cwd"), os.path.join(self.folder, "tmp")
        for folder in (inside, temporary):
            shutil.rmtree(folder, ignore_errors=True)
            os.mkdir(folder)
        with open(request, "wb") as stream:
            pickle.dump(set(left_out), stream)
        open(answer, "wb").close()
        environment = {
            **os.environ,
            "INSTRUMENT_CACHE": os.path.join(self.folder, "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": ROOT,
            "TMPDIR": temporary,
        }
        command = [
            sys.executable,
            os.path.abspath(__file__),
            "--work",
            tool,
            self.placement,
            module,
            str(number),
            request,
            answer,
        ]
        with open(output, "wb") as stream:
            try:
                status = subprocess.run(
                    command,
                    cwd=inside,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    timeout=self.timeout,
                ).returncode
            except subprocess.TimeoutExpired:
                raise Stopped(f"{tool}: stopped after {self.timeout} s") from None
        with open(answer, "rb") as stream:
            written = stream.read()
        if not written:
            with open(output, "rb") as stream:
                end = stream.read().decode(errors="replace")[-2000:]
            raise Stopped(f"{tool}: ended with status {status}, without an answer:\n{end}")
        return pickle.loads(written)


def different(one, other):
    """Return the keys for which two dictionaries differ."""
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def compared(answer):
    """Return those counts of the results *answer* that are in files of the library or in code without a file.

    The names of files that tests write differ from run to run.
    """
    from oracle_driver import is_tool

    timed = tuple(answer["library"] + name for name in TIMED)
    return {
        key: count
        for key, count in answer["counts"].items()
        if not is_tool(key[0]) and key[0] not in timed and key[0].startswith((answer["library"], "<"))
    }


def compare(runner, module):
    """Return a row of the table: how the tests of *module* are counted by both tools."""
    plain = runner.run("plain", module)
    left_out = set()
    for _ in range(ROUNDS):
        traced = runner.run("trace", module, left_out)
        plain_verdicts = {test: verdict for test, verdict in plain["verdicts"].items() if test not in left_out}
        noticing = traced["setters"] | different(plain_verdicts, traced["verdicts"])
        if not noticing:
            break
        left_out |= noticing
    counted = runner.run("instrument", module, left_out)
    expected, found = compared(traced), compared(counted)
    noise, noisy_verdicts = set(), set()
    for again in range(1, ROUNDS):
        # Repeat once, and then only as long as there are differences that may be noise.
        if again > 1 and not different(expected, found) - noise:
            break
        traced_again = runner.run("trace", module, left_out, again)
        noise |= different(expected, compared(traced_again))
        noisy_verdicts |= different(traced["verdicts"], traced_again["verdicts"])
    own = tuple(path for path in traced["own"] if path.endswith(os.sep)), set(traced["own"])

    def is_own(key):
        return key[0] in own[1] or key[0].startswith(own[0])

    differing = {key: (expected.get(key, 0), found.get(key, 0)) for key in different(expected, found) - noise}
    return {
        "module": module,
        "tests": len(traced["verdicts"]),
        "left_out": sorted(left_out),
        "lines": sum(map(is_own, expected)),
        "total": sum(count for key, count in expected.items() if is_own(key)),
        "noise": sorted(filter(is_own, noise)),
        "differing": {key: both for key, both in differing.items() if is_own(key)},
        "elsewhere_lines": sum(not is_own(key) for key in expected),
        "elsewhere_noise": sorted(key for key in noise if not is_own(key)),
        "elsewhere_differing": {key: both for key, both in differing.items() if not is_own(key)},
        "verdicts": {
            test: (traced["verdicts"].get(test), counted["verdicts"].get(test))
            for test in different(traced["verdicts"], counted["verdicts"]) - noisy_verdicts
        },
        "not_measured": counted["not_measured"],
        "seconds": (plain["seconds"], traced["seconds"], counted["seconds"]),
    }


HEADING = (
    f"{'':<14}{'':>6}{'left':>5}  | {'own':>6}{'sum of':>11}{'':>7}{'':>6}  | {'else-':>6}{'':>7}{'':>6}  |"
    f"{'seconds':>9}\n"
    f"{'module':<14}{'tests':>6}{'out':>5}  | {'lines':>6}{'counts':>11}{'differ':>7}{'noise':>6}  | {'where':>6}"
    f"{'differ':>7}{'noise':>6}  |{'plain':>7}{'trace':>7}{'instrument':>11}"
)


def show(row):
    """Print one row of the table, and below it what differs."""
    plain, traced, counted = row["seconds"]
    print(
        f"{row['module']:<14}{row['tests']:6}{len(row['left_out']):5}  | {row['lines']:6}{row['total']:11}"
        f"{len(row['differing']):7}{len(row['noise']):6}  | {row['elsewhere_lines']:6}"
        f"{len(row['elsewhere_differing']):7}{len(row['elsewhere_noise']):6}  |{plain:7.1f}{traced:7.1f}{counted:11.1f}"
    )
    for test, (expected, found) in sorted(row["verdicts"].items()):
        print(f"    {test}: under trace {expected}, under instrument {found}")
    for what in row["not_measured"]:
        print(f"    not measured: {what}")
    show_lines({**row["differing"], **row["elsewhere_differing"]})
    sys.stdout.flush()


def show_lines(differing):
    """Print each line that differs: both counts, and the source."""
    import tokenize

    sources = {}
    for (name, number), (expected, found) in sorted(differing.items()):
        if name not in sources:
            sources[name] = []
            print(f"    {name}\n      line      trace instrument")
            if os.path.exists(name):
                with tokenize.open(name) as stream:
                    sources[name] = stream.read().splitlines()
        source = sources[name][number - 1] if 0 < number <= len(sources[name]) else ""
        print(f"    {number:6} {expected:10} {found:10}  {source}")


def main():
    """Compare, print the table, and return the exit status."""
    import argparse
    import platform
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("modules", nargs="*", metavar="module", help=f"any of {', '.join(SUITES)} (default: all)")
    parser.add_argument("--placement", choices=["line", "minimal"], default="minimal")
    parser.add_argument("--timeout", type=int, default=300, help="seconds for one run (default: %(default)s)")
    parser.add_argument("--names", action="store_true", help="name the tests that are left out and the lines of noise")
    arguments = parser.parse_args()
    unknown = [module for module in arguments.modules if module not in SUITES]
    if unknown:
        parser.error(f"no tests are known for {', '.join(unknown)}")
    print(f"Python {platform.python_version()}, placement {arguments.placement}\n\n{HEADING}", flush=True)
    rows, stopped = [], []
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(folder, arguments.placement, arguments.timeout)
        for module in arguments.modules or SUITES:
            try:
                row = compare(runner, module)
            except Stopped as reason:
                stopped.append(module)
                print(f"{module}: {reason}", flush=True)
                continue
            rows.append(row)
            show(row)
            if arguments.names:
                print(
                    *(f"    left out: {test}" for test in row["left_out"]), sep="\n", end="\n" * bool(row["left_out"])
                )
                for name, number in row["noise"] + row["elsewhere_noise"]:
                    print(f"    noise: {name}:{number}")
    wrong = [row["module"] for row in rows if row["differing"] or row["elsewhere_differing"] or row["verdicts"]]
    print(
        f"\n{len(rows)} modules, {sum(row['lines'] for row in rows)} lines, {sum(row['total'] for row in rows)} counts;"
        f" {len(wrong)} modules differ{': ' if wrong else ''}{', '.join(wrong)}; "
        f"{len(stopped)} came to no end{': ' if stopped else ''}{', '.join(stopped)}"
    )
    return 1 if wrong or stopped else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        sys.exit(main())
