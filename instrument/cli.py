"""The command line: `python -m instrument` in place of `python -m trace`, and commands of our own.

The arguments come in. If the first is one of COMMANDS, the room of that name in `instrument.commands` executes it.
Otherwise a program is run and counted, or a counts file is reported. Options, messages, exit statuses and files are
then those of `python -m trace`, whose quirks scripts rely on: `sys.exit(3)` in the program ends with status 0, an
exception in it leaves no report, and an OSError of the program passes for a program that cannot be read.

What the process imports, and when, is kept as it is there, too: a module that was imported before the program started
is not counted while it is executed. So `argparse` and `runpy` are imported where they are needed.
"""

# No `from __future__ import annotations`: it imports a module, and the program may be the first to import that.
import io
import os
import sys

from instrument.guest.own_imports import OwnImports
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import types
    from collections.abc import Callable
    from typing import Any

#: Each is a room of `instrument.commands`, and one sentence on it stands in the help.
COMMANDS = {
    "run": "run a program and save how often each line ran",
    "report": "print a table of what was counted",
    "annotate": "write listings of the sources with their counts",
    "diff": "show what ran between two moments",
    "combine": "add up the data of many processes in one file",
    "erase": "remove the data, to begin anew",
    "debug": "show the settings, and why code is or is not counted",
    "snapshot": "have a running process save its counts now",
    "top": "watch the hottest lines of running processes",
    "warm": "prepare sources for a quick first start",
}
#: What says something on the commands, and runs none.
ABOUT = {
    "help": "show this list, or with the name of a command, its help",
    "version": "print the version",
}

LISTED = "".join(f"  {name:<10}{words}\n" for name, words in COMMANDS.items())

OVERVIEW = f"""\
instrument {__version__}: exact counts of how often each line of a Python program runs

usage: instrument COMMAND [OPTIONS]

commands:
{LISTED}{"".join(f"  {name:<10}{words}" + chr(10) for name, words in ABOUT.items())}
`instrument help COMMAND` says more on each of them.

begin with:
  instrument run program.py
  instrument report --missing

In place of a command, the options of the standard library's `python -m trace`
do what they do there; `instrument --help` lists them.
"""

DESCRIPTION = """\
Run a Python program and count how often each of its lines is executed, list
the functions that it calls, or print each line before it runs.
"""

EXAMPLES = """\
examples:
  count a program; write listings to the folder cover, print a summary:
      python -m instrument --count --missing --summary --coverdir cover program.py its arguments
  count a module, started as python -m would:
      python -m instrument --count --coverdir cover --module unittest discover
  add up the counts of several runs, then report them all:
      python -m instrument --count --file counts --coverdir cover program.py
      python -m instrument --count --file counts --coverdir cover program.py another argument
      python -m instrument --report --file counts --missing --summary --coverdir cover
  watch a program go, line by line:
      python -m instrument --trace --timing program.py
"""

# A main program has a `__cached__` up to 3.14.
CACHED: dict[str, None] = {"__cached__": None} if sys.version_info < (3, 15) else {}


def main() -> None:
    """Do what the arguments of the process ask for."""
    first = sys.argv[1] if len(sys.argv) > 1 else None
    if first in COMMANDS:
        sys.exit(_print(_execute, first))
    if first in ABOUT:
        sys.exit(_print(_tell, first))
    if first is None:
        if os.path.basename(sys.argv[0]) != "__main__.py":
            sys.exit(_print(_tell, "help"))
        # And then what `python -m trace` says.
        print(f"usage: instrument COMMAND [OPTIONS]\n{LISTED}\n  or as python -m trace:", file=sys.stderr)
    elif _may_be_a_command(first):
        print(_not_a_command(first), file=sys.stderr)
        sys.exit(2)
    _trace()


def _print(do: "Callable[[str, list[str]], int]", first: str) -> int:
    """Have *do* do what *first* and the other arguments say, and print what it prints; return the exit status."""
    try:
        try:
            return do(first, sys.argv[2:])
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our tables has seen enough
        reason = ""
    except OSError as error:
        import errno

        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        reason = error.strerror or f"{error}"
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer is tried again
    if reason:
        print(f"instrument: the output cannot be written: {reason}", file=sys.stderr)
    return 1


def _may_be_a_command(word: str) -> bool:
    """Return whether the first argument *word* is meant as a command: a name, and no file is called so."""
    return word.replace("-", "_").isidentifier() and word[0] != "-" and not os.path.lexists(word)


def _not_a_command(word: str) -> str:
    """Return what to say of *word*, which is no command."""
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), [*COMMANDS, *ABOUT], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"instrument: there is no command {word!r}{hint} `instrument help` lists the commands"


def _tell(name: str, arguments: list[str]) -> int:
    """Print what `help` or `version`, with these *arguments*, asks for; return the exit status."""
    if name == "version":
        print(f"instrument {__version__}")
        return 0
    word = arguments[0] if arguments else "help"
    if word in COMMANDS:
        return _execute(word, ["--help"])
    if word not in ABOUT:
        print(_not_a_command(word), file=sys.stderr)
        return 2
    print(OVERVIEW, end="")
    return 0


def _execute(name: str, arguments: list[str]) -> int:
    """Execute the command *name* with these *arguments*, and return the exit status."""
    import argparse
    from importlib import import_module

    from instrument.commands._help import TEXTS
    from instrument.errors import InstrumentError

    room = import_module(f"instrument.commands.{name}")
    usage, description = TEXTS[name]

    class Parser(argparse.ArgumentParser):
        """A parser that prints also where the encoding of the output does not know all characters of the help."""

        def _print_message(self, message: str, file: "Any" = None) -> None:
            stream = sys.stderr if file is None else file
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(message.encode(encoding, "backslashreplace").decode(encoding))

    parser = Parser(
        prog=f"instrument {name}",
        usage=usage,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    room.add_arguments(parser)
    # What looks like an option in the command line of a program is one of the program's.
    command: list[str] = []
    if hasattr(room, "split"):
        arguments, command = room.split(arguments)
    options = parser.parse_args(arguments)
    options.command = command
    options.refuse = parser.error
    try:
        _read_patterns(options)
        return int(room.execute(options))
    except InstrumentError as error:
        from instrument.report.tables import say

        say([f"instrument: {error}"], sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _read_patterns(options: "argparse.Namespace") -> None:
    """Take from the file with our settings what *options* could say, and do not, of the sources to report."""
    from instrument.config import PATTERNS, read_patterns

    for key in PATTERNS:
        if getattr(options, key, None) == []:
            setattr(options, key, read_patterns(key))


def _trace() -> None:
    """Do what `python -m trace` does."""
    found = "__future__" in sys.modules
    with OwnImports():
        from instrument.errors import CountsFileError
        from instrument.report.trace_results import CoverageResults
        from instrument.trace import Trace

    if not found:  # the program imports its own, and has it counted
        sys.modules.pop("__future__", None)

    def finish(results: CoverageResults) -> None:
        """Report *results* if that is asked for; leave with status 1 if the counts file is no counts file."""
        if not options.no_report:
            results.write_results(options.missing, options.summary, options.coverdir)
        if isinstance(results.infile_error, CountsFileError):
            sys.exit(1)

    options = _parse()
    if options.report:
        finish(CoverageResults(infile=options.file, outfile=options.file))
        return
    tracer = Trace(
        options.count,
        options.trace,
        countfuncs=options.listfuncs,
        countcallers=options.trackcalls,
        ignoremods=options.ignore_module,
        ignoredirs=options.ignore_dir,
        infile=options.file,
        outfile=options.file,
        timing=options.timing,
    )
    try:
        prepare = _prepare_module if options.module else _prepare_script
        code, namespace = prepare(options.progname, options.arguments)
        tracer.runctx(code, namespace, namespace)
    except OSError as error:
        sys.exit(f"Cannot run file {sys.argv[0]!r} because: {error}")
    except SystemExit:
        pass
    finish(tracer.results())


def _prepare_script(path: str, arguments: list[str]) -> "tuple[types.CodeType, dict[str, Any]]":
    """Set up the process for the program in the file *path*; return its code and its globals."""
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(path)
    with io.open_code(path) as file:
        # Should this module ever import from __future__, that is no business of the program.
        code = compile(file.read(), path, "exec", dont_inherit=True)
    return code, {"__file__": path, "__name__": "__main__", "__package__": None, **CACHED}


def _prepare_module(name: str, arguments: list[str]) -> "tuple[types.CodeType, dict[str, Any]]":
    """Set up the process for the module *name*, or for its `__main__`; return its code and its globals."""
    import runpy

    _name, spec, code = runpy._get_module_details(name)  # type: ignore[attr-defined]
    sys.argv = [code.co_filename, *arguments]
    namespace = {"__name__": "__main__", "__file__": code.co_filename, "__package__": spec.parent}
    return code, {**namespace, "__loader__": spec.loader, "__spec__": spec, **CACHED}


def _parse() -> "argparse.Namespace":
    """Return the options that the process was given, or leave with a message and status 2."""
    parser = _build_parser()
    options = parser.parse_args()
    options.ignore_module = [name.strip() for names in options.ignore_module for name in names.split(",")]
    options.ignore_dir = [_folder(path) for paths in options.ignore_dir for path in paths.split(os.pathsep)]
    if options.report:
        if not options.file:
            parser.error("-r/--report requires -f/--file")
    elif not any((options.trace, options.count, options.listfuncs, options.trackcalls)):
        # `python -m instrument` stands in for `python -m trace`, and says no more than that.
        is_file = sys.argv[1:2] == [options.progname] and os.path.isfile(options.progname)
        if is_file and os.path.basename(sys.argv[0]) != "__main__.py":
            print(f"To run it and save its counts: instrument run {options.progname}", file=sys.stderr)
        parser.error("must specify one of --trace, --count, --report, --listfuncs, or --trackcalls")
    elif options.listfuncs and (options.count or options.trace):
        parser.error("cannot specify both --listfuncs and (--trace or --count)")
    elif options.summary and not options.count:
        parser.error("--summary can only be used with --count or --report")
    elif options.progname is None:
        parser.error("progname is missing: required with the main options")
    return options


def _folder(path: str) -> str:
    """Return the folder that *path* means, which may begin with `~`, `$prefix`, `$exec_prefix` or another variable."""
    # The environment comes first: there, too, a variable may be named `prefix`.
    import sysconfig

    path = os.path.expanduser(os.path.expandvars(path))
    path = path.replace("$prefix", sysconfig.get_path("stdlib"))
    path = path.replace("$exec_prefix", sysconfig.get_path("platstdlib"))
    return os.path.normpath(path)


def _build_parser() -> "argparse.ArgumentParser":
    """Return the parser of the arguments: those of `trace`, and no others, lest abbreviations change their meaning."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m instrument",
        description=DESCRIPTION,
        epilog=f"{EXAMPLES}\ncommands, in the place of options; each has a --help of its own\n{LISTED}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"instrument {__version__}")

    group = parser.add_argument_group("Main options", "One of these (or --report) must be given")
    group.add_argument(
        "-c",
        "--count",
        action="store_true",
        help="count how often each line is executed, and write a listing with the counts, <module>.cover, for each "
        "module: beside its source, or to --coverdir",
    )
    group.add_argument(
        "-t", "--trace", action="store_true", help="print each line to standard output before it is executed"
    )
    group.add_argument(
        "-l",
        "--listfuncs",
        action="store_true",
        help="list the functions that were called, once the program has ended; not together with --trace or --count",
    )
    group.add_argument(
        "-T", "--trackcalls", action="store_true", help="list who called whom, once the program has ended"
    )

    group = parser.add_argument_group("Modifiers")
    report = group.add_mutually_exclusive_group()
    report.add_argument(
        "-r",
        "--report",
        action="store_true",
        help="run nothing; report what earlier runs with --count saved to --file",
    )
    report.add_argument(
        "-R", "--no-report", action="store_true", help="write no listings and print no tables (nor save to --file)"
    )
    group.add_argument(
        "-f",
        "--file",
        help="add up the counts of several runs in this file; those of python -m trace will do",
    )
    group.add_argument(
        "-C",
        "--coverdir",
        help="write listings to this folder, as <package>.<module>.cover",
    )
    group.add_argument(
        "-m", "--missing", action="store_true", help='mark lines that could have run but did not with ">>>>>>"'
    )
    group.add_argument(
        "-s",
        "--summary",
        action="store_true",
        help="print a table of how much of each file was executed; only with --count or --report",
    )
    group.add_argument(
        "-g", "--timing", action="store_true", help="with --trace: begin each line with the seconds since the start"
    )

    group = parser.add_argument_group("Filters", "Can be specified multiple times")
    group.add_argument(
        "--ignore-module",
        action="append",
        default=[],
        help="ignore the modules of these names (separated by commas), wherever they are",
    )
    group.add_argument(
        "--ignore-dir",
        action="append",
        default=[],
        help="ignore all files in these folders (separated as in PATH); $prefix and $exec_prefix stand for "
        "the standard library",
    )

    parser.add_argument("--module", action="store_true", default=False, help="progname is a module, as in python -m")
    parser.add_argument("progname", nargs="?", help="the program: a file, or with --module a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the arguments of the program")
    return parser
