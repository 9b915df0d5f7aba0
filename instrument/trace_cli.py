"""The options of the standard library's `python -m trace`: runs a program and reports its counts.

Input: the arguments of the process. Output: the same tables, files, messages and exit statuses as from `trace`.

Scripts rely on its quirks, so they are kept. `sys.exit(3)` in the program ends with status 0. An exception in the
program leaves no report. An OSError of the program is reported as if the program could not be read.
"""

# No `from __future__ import annotations`: the program may be the first to import that module.
import io
import os
import sys

from instrument.guest.own_imports import OwnImports
from instrument.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    import types
    from typing import Any

_DESCRIPTION = """\
Run a Python program and count how often each of its lines is executed, list
the functions that it calls, or print each line before it runs.
"""

_EXAMPLES = """\
examples:
  count a program; write listings to the folder cover, print a summary:
      python -m instrument --count --missing --summary --coverdir cover program.py its arguments
  count a module, started as python -m would:
      python -m instrument --count --coverdir cover --module unittest discover
  add up the counts of several runs, then report them all:
      python -m instrument --count --file counts --coverdir cover program.py
      python -m instrument --count --file counts --coverdir cover program.py another argument
      python -m instrument --report --file counts --missing --summary --coverdir cover
  print each line of a program before it runs:
      python -m instrument --trace --timing program.py
"""

# A main program has a `__cached__` up to 3.14.
_CACHED: dict[str, None] = {"__cached__": None} if sys.version_info < (3, 15) else {}


def run_as_trace(command_lines: str) -> None:
    """Run or report a program as `python -m trace` does, by the arguments of this process.

    *command_lines* lists the commands of `instrument`, for the help. Exit with a status unless it is 0.
    """
    was_imported = "__future__" in sys.modules
    with OwnImports():
        from instrument.errors import CountsFileError
        from instrument.trace import Trace
        from instrument.trace_results.coverage_results import CoverageResults

    if not was_imported:  # the program imports the module again, and its lines are counted
        sys.modules.pop("__future__", None)

    def finish(results: CoverageResults) -> None:
        """Write the reports of *results* unless -R was given; exit with status 1 if the counts file is foreign."""
        if not options.no_report:
            results.write_results(options.missing, options.summary, options.coverdir)
        if isinstance(results.infile_error, CountsFileError):
            sys.exit(1)

    options = _parse(command_lines)
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
    """Set up `sys` for the program in the file *path*; return its code and its globals."""
    sys.argv = [path, *arguments]
    sys.path[0] = os.path.dirname(path)
    with io.open_code(path) as file:
        # A __future__ import of this module must not change the program.
        code = compile(file.read(), path, "exec", dont_inherit=True)
    return code, {"__file__": path, "__name__": "__main__", "__package__": None, **_CACHED}


def _prepare_module(name: str, arguments: list[str]) -> "tuple[types.CodeType, dict[str, Any]]":
    """Set up `sys` for the module *name*, or the `__main__` of a package; return its code and its globals."""
    import runpy

    _name, spec, code = runpy._get_module_details(name)  # type: ignore[attr-defined]
    sys.argv = [code.co_filename, *arguments]
    namespace = {"__name__": "__main__", "__file__": code.co_filename, "__package__": spec.parent}
    return code, {**namespace, "__loader__": spec.loader, "__spec__": spec, **_CACHED}


def _parse(command_lines: str) -> "argparse.Namespace":
    """Return the options of this process; exit with a message and status 2 if they are wrong."""
    parser = _build_parser(command_lines)
    options = parser.parse_args()
    options.ignore_module = [name.strip() for names in options.ignore_module for name in names.split(",")]
    options.ignore_dir = [_folder(path) for paths in options.ignore_dir for path in paths.split(os.pathsep)]
    if options.report:
        if not options.file:
            parser.error("-r/--report requires -f/--file")
    elif not any((options.trace, options.count, options.listfuncs, options.trackcalls)):
        # `python -m instrument` prints nothing that `python -m trace` does not print.
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
    """Return *path* normalized, with `~`, `$prefix`, `$exec_prefix` and environment variables expanded.

    As in `trace`, an environment variable called `prefix` takes precedence over `$prefix`.
    """
    import sysconfig

    path = os.path.expanduser(os.path.expandvars(path))
    path = path.replace("$prefix", sysconfig.get_path("stdlib"))
    path = path.replace("$exec_prefix", sysconfig.get_path("platstdlib"))
    return os.path.normpath(path)


def _build_parser(command_lines: str) -> "argparse.ArgumentParser":
    """Return the parser for the options of `trace`. It has no others, because they would make abbreviations ambiguous.

    The help ends with *command_lines*, a list of the commands.
    """
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m instrument",
        description=_DESCRIPTION,
        epilog=f"{_EXAMPLES}\ncommands, in place of options; each has its own --help\n{command_lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"instrument {__version__}")
    _add_main_options(parser)
    _add_modifiers(parser)
    _add_filters(parser)
    parser.add_argument("--module", action="store_true", default=False, help="progname is a module, as in python -m")
    parser.add_argument("progname", nargs="?", help="the program: a file, or with --module a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="the arguments of the program")
    return parser


def _add_main_options(parser: "argparse.ArgumentParser") -> None:
    """Add the options that say how a program is run."""
    group = parser.add_argument_group("Main options", "One of these (or --report) must be given")
    group.add_argument(
        "-c",
        "--count",
        action="store_true",
        help="count how often each line runs, and write a listing with the counts of each module, <module>.cover, "
        "beside its source or to --coverdir",
    )
    group.add_argument(
        "-t", "--trace", action="store_true", help="print each line to standard output before it is executed"
    )
    group.add_argument(
        "-l",
        "--listfuncs",
        action="store_true",
        help="when the program has ended, list the functions that it called; not together with --trace or --count",
    )
    group.add_argument(
        "-T", "--trackcalls", action="store_true", help="when the program has ended, list the callers of each function"
    )


def _add_modifiers(parser: "argparse.ArgumentParser") -> None:
    """Add the options for reports and for the output of --trace."""
    group = parser.add_argument_group("Modifiers")
    report = group.add_mutually_exclusive_group()
    report.add_argument(
        "-r",
        "--report",
        action="store_true",
        help="run no program; report the counts that earlier runs with --count saved to --file",
    )
    report.add_argument(
        "-R", "--no-report", action="store_true", help="write no listings, print no tables, and save nothing to --file"
    )
    group.add_argument(
        "-f",
        "--file",
        help="add up the counts of several runs in this file; a file of python -m trace is accepted, too",
    )
    group.add_argument(
        "-C",
        "--coverdir",
        help="write listings to this folder, as <package>.<module>.cover",
    )
    group.add_argument("-m", "--missing", action="store_true", help='mark lines that never ran with ">>>>>>"')
    group.add_argument(
        "-s",
        "--summary",
        action="store_true",
        help="print the share of lines that ran, for each file; only with --count or --report",
    )
    group.add_argument(
        "-g", "--timing", action="store_true", help="with --trace: begin each line with the seconds since the start"
    )


def _add_filters(parser: "argparse.ArgumentParser") -> None:
    """Add the options that leave modules out."""
    group = parser.add_argument_group("Filters", "Can be specified multiple times")
    group.add_argument(
        "--ignore-module",
        action="append",
        default=[],
        help="ignore the modules with these names (separated by commas) in all folders",
    )
    group.add_argument(
        "--ignore-dir",
        action="append",
        default=[],
        help="ignore all files in these folders (separated as in PATH); $prefix and $exec_prefix stand for "
        "the standard library",
    )
