"""Compare branches with those of `coverage run --branch`: the lines, their ways, and which of the ways were taken.

    python benchmarks/branch_parity.py --env ~/.cache/instrument-parity              all packages, some ten minutes
    python benchmarks/branch_parity.py --env ~/.cache/instrument-parity --packages sqlparse toolz

Each package runs its own tests, once under coverage.py with its C tracer and once under `instrument run`. The JSON
documents of both are compared for each module. So is the report that coverage.py makes of `instrument coverage`. A
table comes out, and each difference with its line and its kind. A difference of unknown kind is compared with a second
run of coverage.py. The exit status is 1 if a kind is still unknown.
"""

import argparse
import ast
import collections
import json
import os
import subprocess
import sys
from pathlib import Path

from no_harm import SELECTED
from overhead import machine
from peers.environment import Environment

ROOT = Path(__file__).resolve().parent.parent

#: For each package the folder of its tests, the packages that the tests need, and further arguments of pytest.
PACKAGES = {
    "attrs==26.1.0": (
        "tests/test_functional.py",
        ["hypothesis", "cloudpickle"],
        ["--hypothesis-seed=0", *(f"tests/test_{name}.py" for name in ("cmp", "converters", "next_gen", "slots"))],
    ),
    "boltons==26.2.0": ("tests", [], ["-k", "not cache and not socket and not iterutils"]),
    "click==8.5.1": ("tests", [], SELECTED["click"]),
    "jinja2==3.1.6": ("tests", ["trio"], []),
    "markdown==3.10": ("tests", ["pyyaml"], ["--ignore=tests/test_syntax/extensions/test_md_in_html.py"]),
    "networkx==3.4.2": (
        "networkx/algorithms/tests/test_dag.py",
        [],
        ["networkx/classes/tests/test_digraph.py", "networkx/readwrite/tests/test_gml.py"],
    ),
    "packaging==26.0": ("tests", ["pretend"], ["--ignore=tests/property", "--ignore=tests/test_pylock.py"]),
    "pluggy==1.7.0": ("testing", [], []),
    "sqlparse==0.6.1": ("tests", [], []),
    "tomlkit==0.13.3": ("tests", [], []),
    "toolz==1.2.0": ("toolz", [], []),
}

#: The statements that decide between two ways.
DECIDE = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.match_case)

#: Why coverage.py and `instrument` may differ at a line.
KINDS = {
    "finally without a normal end": (
        "an `if` or a loop at the end of a `finally` whose `try` always leaves otherwise: "
        "coverage.py sees no way past the body"
    ),
    "past the end of a finally": (
        "an `if` or a loop at the end of a `finally`: control passed the body while it left the function or the loop, "
        "and coverage.py expects it on the next line"
    ),
    "jump through a finally": "a jump on the line of its `if`: coverage.py does not expect the `finally` between",
    "end of a with": "an `if` on one line with its jump, at the end of a `with`: both ways pass the header",
    "exception in place of a way": "an exception in the line led to the line of the way: coverage.py sees the way",
    "end of a module": "a `def` on one line that ends a module: coverage.py has two ways out, of function and module",
    "constant condition": "the compiler removes the condition, and coverage.py keeps it, or the reverse",
    "ellipsis in a docstring": "coverage.py takes a line `...` of the docstring for the body",
    "not repeatable": "two runs of coverage.py differ there",
}


def main():
    """Run the packages that the command line names, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {package.partition("==")[0]: package for package in PACKAGES}
    parser.add_argument("--env", required=True, help="folder of the virtual environment and of the packages")
    parser.add_argument("--packages", nargs="+", choices=sorted(names), default=sorted(names), help="default: all")
    options = parser.parse_args()
    environment = Environment(options.env, ROOT, lambda text: print(f"({text})", file=sys.stderr))
    print(f"{', '.join(machine())}; coverage.py {environment.versions()['coverage']}\n")
    total, differences = collections.Counter(), []
    print(f"{'package':16}{'modules':>9}{'branch lines':>14}{'ways':>8}{'taken':>8}{'differ':>8}{'exported':>10}")
    for name in options.packages:
        try:
            comparison = Comparison(environment, names[name])
        except LookupError as error:
            print(f"{name:16}left out: {error}")
            continue
        row = comparison.numbers
        print_row(name, row)
        total.update(row)
        differences += [(name, *each) for each in comparison.differences]
    print_row("all", total)
    kinds = collections.Counter(kind for *_, kind in differences)
    for kind, n in kinds.most_common():
        print(f"\n{n} × {kind}: {KINDS.get(kind, 'the reason is not known')}")
        for package, path, line, text, theirs, ours, found in differences:
            if found == kind:
                print(f"    {package}: {path}:{line}: {text}\n        coverage.py {theirs}, instrument {ours}")
    return int(any(kind not in KINDS for kind in kinds))


def print_row(name, row):
    """Print a row of the table."""
    keys = ("modules", "lines", "ways", "taken", "differ", "exported")
    print(f"{name:16}" + "".join(f"{row[key]:>{width}}" for key, width in zip(keys, (9, 14, 8, 8, 8, 10))), flush=True)


class Comparison:
    """The comparison of one package: `numbers` of it, and `differences`.

    A difference is (path, line, text of the line, ways for coverage.py, ways for instrument, kind). Ways are a dict
    from target to whether it was taken.
    """

    def __init__(self, environment, package):
        self.environment = environment
        tests, needs, self.arguments = PACKAGES[package]
        self.source, self.installed = environment.package(package, needs)
        self.arguments = [tests, *self.arguments]
        self.folder = environment.folder / "parity" / package.partition("==")[0]
        self.folder.mkdir(parents=True, exist_ok=True)
        theirs = self.run_coverage("first")
        ours = self.run_instrument()
        exported = self.document_of_coverage(self.folder / "exported")
        self.numbers = collections.Counter(modules=len(theirs))
        self.differences = []
        self.n_lines_of_exports(theirs, exported)
        again = None
        for path in sorted(theirs):
            of_coverage, of_instrument = theirs[path]["ways"], ours.get(path, {})
            self.numbers["lines"] += len(of_coverage)
            self.numbers["ways"] += sum(map(len, of_coverage.values()))
            self.numbers["taken"] += sum(sum(ways.values()) for ways in of_coverage.values())
            text = Path(path).read_text(encoding="utf-8")
            places = Places(ast.parse(text))
            for line in sorted(of_coverage.keys() | of_instrument.keys()):
                one, other = of_coverage.get(line, {}), of_instrument.get(line, {})
                if one == other:
                    continue
                kind = places.kind(line, one, other)
                if kind not in KINDS:
                    again = again or self.run_coverage("second")
                    kind = "not repeatable" if again[path]["ways"].get(line, {}) != one else kind
                self.numbers["differ"] += 1
                shown = os.path.relpath(path, self.source)
                self.differences.append((shown, line, text.splitlines()[line - 1].strip(), one, other, kind))

    def n_lines_of_exports(self, theirs, exported):
        """Count the lines and ways that differ in the report of coverage.py on the data of `instrument coverage`."""
        for path, document in theirs.items():
            other = exported.get(path, {"ways": {}, "missing": set()})
            self.numbers["exported"] += len(document["missing"] ^ other["missing"])
            lines = document["ways"].keys() | other["ways"].keys()
            self.numbers["exported"] += sum(document["ways"].get(n) != other["ways"].get(n) for n in lines)

    def call(self, *arguments):
        """Run Python with *arguments* in the folder of the sources."""
        variables = {"PYTHONPATH": os.pathsep.join([str(self.installed), str(ROOT)]), "PYTHONHASHSEED": "0"}
        variables |= {"COVERAGE_CORE": "ctrace", "INSTRUMENT_QUIET": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command, variables = [self.environment.python, *map(str, arguments)], {**os.environ, **variables}
        done = subprocess.run(command, cwd=self.source, env=variables, capture_output=True, text=True, errors="replace")
        if done.returncode > ("pytest" in arguments):  # 1: a test failed
            raise LookupError(f"{arguments[:4]} ended with {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
        return done.stdout

    def tests(self):
        """Return the arguments of Python that run the tests."""
        settings = ["-p", "no:cacheprovider", "-o", "addopts=", "-o", "filterwarnings=", "-W", "ignore"]
        return ["-m", "pytest", "-q", *settings, *self.arguments]

    def run_coverage(self, name):
        """Run the tests under coverage.py; return its document."""
        data = self.folder / name
        options = ["--branch", f"--data-file={data}", f"--source={self.source},{self.installed}", "--rcfile=/dev/null"]
        self.call("-m", "coverage", "run", *options, *self.tests())
        return self.document_of_coverage(data)

    def document_of_coverage(self, data):
        """Return for each module that ran its missing lines and its ways, as coverage.py reports them from *data*."""
        out = self.folder / "coverage.json"
        self.call("-m", "coverage", "json", "-q", "-i", f"--data-file={data}", "--rcfile=/dev/null", "-o", out)
        documents = {}
        for path, file in json.loads(out.read_text(encoding="utf-8"))["files"].items():
            ways = collections.defaultdict(dict)
            for key, is_taken in (("executed_branches", True), ("missing_branches", False)):
                for line, target in file[key]:
                    ways[line][max(target, 0)] = is_taken
            path = os.path.normpath(self.source / path)
            if file["executed_lines"] and is_of_package(path):
                documents[path] = {"ways": dict(ways), "missing": set(file["missing_lines"])}
        return documents

    def run_instrument(self):
        """Run the tests under `instrument run`, and export the data to coverage.py; return the ways of each module."""
        data, out = self.folder / "data", self.folder / "instrument.json"
        command = ["-c", "import sys; from instrument.cli import main; sys.exit(main())"]
        scope = f"{self.source},{self.installed}"
        self.call(*command, "run", "--fresh", "--dir", data, "--scope", scope, *self.tests())
        self.call(*command, "json", data, "-o", out)
        self.call(*command, "coverage", data, "-o", self.folder / "exported")
        found = {}
        for file in json.loads(out.read_text(encoding="utf-8"))["files"]:
            ways = found.setdefault(file["path"], {})
            for branch in file["flow"]["branches"] if file["flow"] else ():
                shown = [way for way in branch["ways"] if way["count"] or way["missing"]]
                ways.setdefault(branch["line"], {}).update({way["to"] or 0: way["count"] > 0 for way in shown})
        return found


def is_of_package(path):
    """Return whether the module at *path* is neither a test nor a script that builds the package."""
    parts = Path(path).parts
    return not {"test", "tests", "testing", "docs", "conftest.py", "setup.py"} & set(parts)


class Places:
    """Where the statements of a syntax *tree* stand, to find the kind of a difference."""

    def __init__(self, tree):
        self.at = {}
        self.parents = {}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            if isinstance(node, (*DECIDE, ast.FunctionDef, ast.AsyncFunctionDef)):
                self.at[getattr(node, "lineno", 0) or node.pattern.lineno] = node

    def kind(self, line, theirs, ours):
        """Return the kind of the difference at *line*; a text that is no kind if it is not known."""
        node = self.at.get(line)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return "end of a module" if not ours and theirs.keys() == {0} else "not known"
        if node is None:
            return "no statement that decides"
        if isinstance(getattr(node, "test", getattr(node, "guard", None)), (ast.Constant, ast.BoolOp)) and (
            not theirs or not ours
        ):
            return "constant condition"
        last, above = node, self.parents[node]
        is_on_one_line = node.body[0].lineno == line
        too_many = {target for target, is_taken in theirs.items() if is_taken and not ours.get(target)} or {-1}
        while above is not None:
            if isinstance(above, (ast.Try, ast.TryStar)) and last in above.finalbody:
                return "past the end of a finally" if theirs else "finally without a normal end"
            if is_on_one_line and isinstance(above, (ast.Try, ast.TryStar)) and above.finalbody:
                return "jump through a finally"
            if isinstance(above, (ast.Try, ast.TryStar)) and last in above.body and too_many <= heads(above):
                return "exception in place of a way"
            if is_on_one_line and isinstance(above, (ast.With, ast.AsyncWith)):
                return "end of a with"
            last, above = above, self.parents.get(above)
        return "not known"


def heads(node):
    """Return the lines to which an exception in the body of the `try` *node* leads."""
    return {each.lineno for each in node.handlers} | {each.lineno for each in node.finalbody[:1]}


if __name__ == "__main__":
    sys.exit(main())
