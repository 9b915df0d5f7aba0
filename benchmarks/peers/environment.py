"""A place to measure in: a virtual environment with the peers, and beside it all that is measured.

    FOLDER/venv                the Python that runs everything; peers, pytest, the requirements of `instrument`
    FOLDER/pyperformance       pyperformance, for the programs among its data files
    FOLDER/programs/NAME       copies of some of them, with less data
    FOLDER/libraries/NAME      the requirements of the program NAME
    FOLDER/standard/NAME       copies of modules of this Python's standard library
    FOLDER/packages/NAME/…     a package with a suite of tests: `source`, and `installed` without its requirements
    FOLDER/state.json          the reasons for which some of these are missing

Each of these is installed at its first use, and found there the next time. If it cannot be installed on this Python,
each use raises a LookupError with the reason.
"""

import contextlib
import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from pathlib import Path

from no_harm import PACKAGES

HERE = Path(__file__).resolve().parent

PEERS = ["coverage", "slipcover", "line_profiler"]
REPORTED = [*PEERS, "pytest", "bytecode"]  # the versions that the results hold for


def outside():
    """Return the directories of the standard library and of installed packages, of the Python that runs this."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    return sorted({sysconfig.get_path(kind) for kind in kinds} | {os.path.dirname(os.__file__)})


class Bare:
    """The Python that runs this, as it is: nothing is installed, only our own programs can be run."""

    def __init__(self):
        self.python = sys.executable
        self.ignore = [*outside(), str(HERE)]
        self.missing = {}

    def versions(self):
        """Return {package: version} of the installed packages that have an effect on measurements."""
        script = ("import importlib.metadata as m, json\nfound = {}\n"
                  f"for name in {REPORTED!r}:\n    try: found[name] = m.version(name)\n"
                  "    except m.PackageNotFoundError: pass\nprint(json.dumps(found))")
        return json.loads(subprocess.run([self.python, "-c", script], capture_output=True, text=True).stdout)


class Environment(Bare):
    """The environment in *folder*. *instrument*: the source tree whose dependencies are installed; *say* is told
    what is being done.
    """

    def __init__(self, folder, instrument, say):
        super().__init__()
        self.folder = Path(folder).resolve()
        self.say = say
        self.state = self.folder / "state.json"
        if self.state.exists():
            self.missing = json.loads(self.state.read_text(encoding="utf-8"))
        venv = self.folder / "venv"
        self.python = str(venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        if not Path(self.python).exists():
            say("making a virtual environment")
            make_venv(venv)
        self.ignore += self.output_of("import sysconfig, json; print(json.dumps(sorted({sysconfig.get_path(kind) "
                                "for kind in ('stdlib', 'platstdlib', 'purelib', 'platlib')})))")
        if self.output_of("import sys, json; print(json.dumps(list(sys.version_info)))") != list(sys.version_info):
            raise SystemExit(f"{self.folder} was made by another Python; name another folder, or delete it")
        project = tomllib.loads((Path(instrument) / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.need("base", "pytest>=8.3", *project["dependencies"])
        for peer in PEERS:
            try:
                self.need(peer, peer)
            except LookupError:
                pass  # It is named in the report.

    def output_of(self, script):
        """Return the JSON value that *script* prints in the environment's Python."""
        done = subprocess.run([self.python, "-c", script], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def pip(self, *arguments):
        """Run pip; if it fails, raise LookupError with its last error."""
        done = subprocess.run([self.python, "-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input",
                               *arguments], capture_output=True, text=True)
        if done.returncode:
            wrong = [line for line in done.stderr.splitlines() if "error" in line.lower()] or ["pip failed"]
            raise LookupError(wrong[-1].strip()[:200])

    def once(self, what, mark, action):
        """Call *action* unless the file *mark* exists; if it fails, keep the reason under *what*."""
        if what in self.missing:
            raise LookupError(self.missing[what])
        if mark.exists():
            return
        self.say(f"installing {what}")
        try:
            action()
        except (LookupError, OSError) as error:
            self.missing[what] = str(error)
            self.state.write_text(json.dumps(self.missing, indent=1) + "\n", encoding="utf-8")
            raise LookupError(str(error)) from error
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def need(self, what, *requirements):
        """Install *requirements* in the virtual environment."""
        self.once(what, self.folder / "done" / what,
                  lambda: self.pip("install", "--root-user-action=ignore", *requirements))

    def install(self, target, *arguments):
        self.pip("install", "--root-user-action=ignore", "--target", str(target), *arguments)

    def program(self, name, without=(), lines=None):
        """Return the file of pyperformance's program *name*, or of a copy with less data.

        The copy lacks the files and folders *without*, and has the first *lines* of each data file.
        """
        target = self.folder / "pyperformance"
        self.once("pyperformance", self.folder / "done" / "pyperformance",
                  lambda: self.install(target, "--no-deps", "pyperformance"))
        folder, _, _ = name.partition(":")
        file = target / "pyperformance" / "data-files" / "benchmarks" / f"bm_{folder}" / "run_benchmark.py"
        if not file.exists():
            raise LookupError(f"this pyperformance has no program {folder}")
        if not (without or lines):
            return file
        smaller = self.folder / "programs" / file.parent.name
        if not smaller.exists():
            shutil.copytree(file.parent, smaller, ignore=shutil.ignore_patterns("__pycache__", *without))
            for data in smaller.glob("data/*.*") if lines else ():
                open_it = gzip.open if data.suffix == ".gz" else open
                with open_it(data, "rb") as opened:
                    kept = b"".join(itertools.islice(opened, lines))
                with open_it(data, "wb") as opened:
                    opened.write(kept)
        return smaller / file.name

    def library(self, program, newest=False):
        """Return the folder with the requirements of the program in the folder *program*.

        Their versions are those that pyperformance has fixed, or the *newest*.
        """
        name = program.name.removeprefix("bm_")
        target = self.folder / "libraries" / name
        requirements = program / "requirements.txt"

        def install():
            if not newest:
                with contextlib.suppress(LookupError):
                    return self.install(target, "-r", str(requirements))
                shutil.rmtree(target, ignore_errors=True)
            # Fixed versions can be too old for this Python.
            text = re.sub(r"#.*", "", requirements.read_text(encoding="utf-8"))
            return self.install(target, *re.findall(r"^([\w.\[\]-]+)", text, re.MULTILINE))

        self.once(f"libraries of {name}", self.folder / "done" / f"library-{name}", install)
        return target

    def standard(self, modules):
        """Return a folder with copies of *modules* of the standard library."""
        target = self.folder / "standard" / "-".join(modules)
        if not target.exists():
            target.mkdir(parents=True)
            for module in modules:
                origin = Path(sysconfig.get_path("stdlib")) / module
                if origin.is_dir():
                    shutil.copytree(origin, target / module, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(origin.with_suffix(".py"), target)
        return target

    def package(self, package, needs=None):
        """Return the folders (source, installed) of *package*, `name==version`, whose tests are to be run.

        *needs* has the packages that the tests need, by default those in PACKAGES.
        """
        name, _, version = package.partition("==")
        folder = self.folder / "packages" / name

        def fetch():
            folder.mkdir(parents=True, exist_ok=True)
            self.pip("download", "--no-deps", "--no-binary", name, "--dest", str(folder), package)
            archive, = folder.glob("*.tar.gz")
            # All that it depends on goes out of scope, itself into it.
            needed = PACKAGES[package][1] if needs is None else needs
            self.pip("install", "--root-user-action=ignore", str(archive), *needed)
            self.install(folder / "installed", "--no-deps", str(archive))
            with tarfile.open(archive) as opened:
                opened.extractall(folder / "source", filter="data")

        self.once(f"{name} {version}", self.folder / "done" / f"package-{name}", fetch)
        source, = (folder / "source").iterdir()
        return source, folder / "installed"


def make_venv(venv):
    """Make a virtual environment with pip; by virtualenv where a distribution took ensurepip out of this Python."""
    venv.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    if done.returncode == 0:
        return
    shutil.rmtree(venv, ignore_errors=True)
    helper = venv.parent / "virtualenv"
    for python in filter(None, map(shutil.which, ("python3", "python"))):
        steps = [[python, "-m", "venv", str(helper)], [str(helper / "bin" / "pip"), "install", "-q", "virtualenv"],
                 [str(helper / "bin" / "virtualenv"), "-q", "-p", sys.executable, str(venv)]]
        if all(subprocess.run(step, capture_output=True).returncode == 0 for step in steps):
            return
    reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
    raise SystemExit(f"cannot make a virtual environment for {sys.executable}: {reason[-1]}")
