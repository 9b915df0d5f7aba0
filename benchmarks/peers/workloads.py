"""The workloads in four groups, and a fifth with runs that become longer.

    micro       small programs, in ../micro
    programs    programs of pyperformance whose work is in their own module
    libraries   programs of pyperformance whose work is in a library written in Python, which is in scope with them
    suites      a package and its own tests, run by pytest, imports included
    growth      some of the above with a growing number of loops: the cost of a start, and the cost of each loop

A workload has a start and the directories in scope. The scope consists of whole directories. So libraries and packages
are installed in folders of their own, and measured modules of the standard library are copies.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from no_harm import PACKAGES, SELECTED

MICRO = Path(__file__).resolve().parent.parent / "micro"

# Name → arguments. A name may end in a variant, `folder:variant`.
PROGRAMS = {
    "async_generators": [], "bpe_tokeniser": [], "chaos": [], "comprehensions": [], "coroutines": [], "deltablue": [],
    "fannkuch": [], "float": [], "generators": [], "go": [], "hexiom": [], "mdp": [], "meteor_contest": [],
    "nbody": [], "nqueens": [], "pidigits": [], "pyflate": [], "raytrace": [], "richards": [], "richards_super": [],
    "scimark:fft": ["fft"], "scimark:lu": ["lu"], "scimark:monte_carlo": ["monte_carlo"], "scimark:sor": ["sor"],
    "scimark:sparse_mat_mult": ["sparse_mat_mult"], "spectral_norm": [], "unpack_sequence": [], "barnes_hut": [],
}

# Name → arguments, and the modules of the standard library that are in scope.
LIBRARIES = {
    "argparse": (["many_optionals"], ["argparse"]),
    "chameleon": ([], []),
    "crypto_pyaes": ([], []),
    "deepcopy": ([], ["copy"]),
    "django_template": (["--table-size", "20"], []),
    "docutils": ([], []),
    "dulwich_log": ([], []),
    "genshi": ([], []),
    "html5lib": ([], []),
    "logging": ([], ["logging"]),
    "mako": ([], []),
    "networkx": (["shortest_path"], []),
    "pathlib": ([], ["pathlib"]),
    "pickle:pure_python": (["--pure-python", "pickle"], ["pickle"]),
    "pickle:unpickle_pure_python": (["--pure-python", "unpickle"], ["pickle"]),
    "sqlalchemy_declarative": ([], []),
    "sqlalchemy_imperative": ([], []),
    "sqlglot_v2:optimize": (["optimize"], []),
    "sqlglot_v2:parse": (["parse"], []),
    "sympy:str": (["str"], []),
    "sympy:sum": (["sum"], []),
    "tomli_loads": ([], []),
    "tornado_http": ([], []),
    "xdsl": ([], []),
    "yaml": ([], []),
}

SUITES = {package.partition("==")[0]: package for package in PACKAGES if not package.startswith("bytecode")}

# Less data, where one loop over all of them takes seconds.
SMALLER = {
    "docutils": {"without": ["dev", "ref", "user"]},
    "networkx": {"lines": 20_000},
    "tomli_loads": {"lines": 2_000},
}
# The versions that pyperformance has fixed install, and cannot be imported since 3.12 took distutils away.
NEWEST = {"django_template", "sympy:str", "sympy:sum"}

# The workloads of a short run: some of each group, none of them long.
SHORT = {
    "micro": ["calls", "exceptions_each", "parser"],
    "programs": ["comprehensions", "deltablue", "richards"],
    "libraries": ["deepcopy", "sqlglot_v2:parse"],
    "suites": ["pluggy"],
    "growth": ["sqlglot_v2:parse"],
}
SMOKE = ["exceptions_rare", "parser"]
GROWTH = {"parser": "micro", "richards": "programs", "html5lib": "libraries", "sqlglot_v2:parse": "libraries"}


@dataclass(frozen=True)
class Workload:
    """Something to run. *scope*: directories that are measured; *path*: what is put on the module search path."""

    group: str
    name: str
    kind: str  # how `measured` starts it: "micro", "program" or "suite"
    scope: list
    path: list = field(default_factory=list)
    forget: list = field(default_factory=list)  # modules that the program is to import afresh
    folder: str = ""  # micro: where the module is; suite: where pytest is run
    file: str = ""
    arguments: list = field(default_factory=list)

    @property
    def title(self):
        return f"{self.group}/{self.name}"


def names():
    """Return {group: names of all of its workloads}."""
    return {"micro": sorted(path.stem for path in MICRO.glob("*.py")), "programs": sorted(PROGRAMS),
            "libraries": sorted(LIBRARIES), "suites": sorted(SUITES), "growth": sorted(GROWTH)}


def make(group, name, environment):
    """Return the workload, or raise LookupError with the reason why *environment* does not have what it needs."""
    if group == "growth":
        return replace(make(GROWTH[name], name, environment), group="growth")
    if group == "micro":
        return Workload(group, name, "micro", [str(MICRO)], folder=str(MICRO))
    if group == "suites":
        source, installed = environment.package(SUITES[name])
        tests, _ = PACKAGES[SUITES[name]]
        return Workload(group, name, "suite", [str(installed), str(source)], [str(installed)], folder=str(source),
                        arguments=[tests, *SELECTED.get(name, ())])
    file = environment.program(name, **SMALLER.get(name, {}))
    if group == "programs":
        return Workload(group, name, "program", [str(file.parent)], file=str(file), arguments=PROGRAMS[name])
    arguments, modules = LIBRARIES[name]
    library = environment.standard(modules) if modules else environment.library(file.parent, name in NEWEST)
    return Workload(group, name, "program", [str(file.parent), str(library)], [str(library)], forget=modules,
                    file=str(file), arguments=arguments)
