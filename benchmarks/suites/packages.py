"""The packages whose tests run, and the environment in which they run.

A folder comes in. Out go the sources of a package, its installed files, and the arguments of pytest for its tests.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from no_harm import PACKAGES as KNOWN
from no_harm import SELECTED
from peers.environment import Environment

ROOT = Path(__file__).resolve().parent.parent.parent

#: Name and version: the folder of the tests, and the packages that the tests need besides pytest.
PACKAGES = {
    **{package: of_package for package, of_package in KNOWN.items() if not package.startswith("bytecode")},
    "itsdangerous==2.2.0": ("tests", ["freezegun"]),
    "markdown==3.10": ("tests", ["pyyaml"]),
    "packaging==26.0": ("tests", ["pretend"]),
    "tomlkit==0.13.3": ("tests", []),
}
#: Further arguments of pytest. Some tests of packaging need another version of it, or random examples.
ARGUMENTS = {**SELECTED, "packaging": ["--ignore=tests/property", "--ignore=tests/test_pylock.py"]}
#: Packages of which pytest itself runs the copy under test. So their counts depend on its options and processes.
UNDER_PYTEST = ("pluggy",)
#: Files with loops over the arguments of the process, the objects of the garbage collector, and reads until a timeout.
OF_PROCESS = {"boltons": ["boltons/ecoutils.py", "boltons/gcutils.py", "boltons/socketutils.py"]}
NAMES = {package.partition("==")[0]: package for package in PACKAGES}

#: Packages that are installed beside pytest: a name, and a requirement.
TOOLS = {"xdist": "pytest-xdist>=3.6", "pytest-cov": "pytest-cov", "pyxtrace": "pyxtrace"}


@dataclass(frozen=True)
class Suite:
    """The tests of a package: *source* is the folder of the run, and *installed* has the package without others."""

    name: str
    source: Path
    installed: Path
    arguments: list

    @property
    def scope(self):
        """The folders that all tools count."""
        return [str(self.installed), str(self.source)]

    @property
    def repeatable(self):
        """The folders whose counts depend on the tests alone."""
        return [str(self.source)] if self.name in UNDER_PYTEST else self.scope

    @property
    def of_process(self):
        """The files whose counts depend on the process, without the folder before the package."""
        return OF_PROCESS.get(self.name, [])


def environment(folder):
    """Return the environment in *folder* with all tools of this Python, `instrument` from this tree among them."""
    made = Environment(folder, ROOT, say)
    for name, requirement in TOOLS.items():
        try:
            made.need(name, requirement)
        except LookupError as error:
            say(f"{name} is left out: {error}")
    say("installing instrument from this tree")
    made.pip("install", "--root-user-action=ignore", "--no-deps", "--force-reinstall", str(ROOT))
    return made


def suite(environment, name):
    """Return the Suite of the package *name*; raise LookupError if it cannot be installed."""
    package = NAMES[name]
    tests, needs = PACKAGES[package]
    source, installed = environment.package(package, needs)
    return Suite(name, source, installed, [tests, *ARGUMENTS.get(name, ())])


def say(text):
    """Print *text* on standard error."""
    print(f"({text})", file=sys.stderr, flush=True)
