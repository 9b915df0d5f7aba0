"""CoverageResults: counts, called functions and callers, as the standard library's `trace` returns them.

Counts come in, with the names of counts files to add and to write. Listings and a counts file go to disk, tables to
standard output, remarks to standard error. This class is a drop-in. Its names, aliasing, order of effects and every
byte of the output are those of the running interpreter's own class.

Three things differ, where that class fails. A source file that is gone, or is no Python, costs its own listing only. A
counts file that cannot be read is never overwritten. The counts are saved even if the report fails.
"""

from __future__ import annotations

import io
import linecache
import os
import stat
import sys
import tokenize

from instrument.analysis.trace_lines import executable_lines, full_module_name, module_name
from instrument.guest.trusted_files import read_regular, trusted_users
from instrument.trace_results import counts_file, cover_listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from instrument.trace_results.counts_file import CalledFunctions, Callers, LineCounts, Path

_LARGEST_SOURCE = 1 << 26


class CoverageResults:
    """Counts of lines, called functions and callers, which can be added up and reported."""

    #: Files that ran uncounted, in whole or in part, each with the reason. Reports name them, and show no zeros.
    not_measured: tuple[tuple[str, str], ...] = ()

    #: Why *infile* could not be read; None if it was read, or if there is nothing in it to lose.
    infile_error: Exception | None = None

    def __init__(
        self,
        counts: LineCounts | None = None,
        calledfuncs: CalledFunctions | None = None,
        infile: Path | None = None,
        callers: Callers | None = None,
        outfile: Path | None = None,
    ) -> None:
        """Keep *counts* itself, copies of *calledfuncs* and *callers*, and add the counts file *infile*."""
        self.counts: LineCounts = {} if counts is None else counts
        self.counter: LineCounts = self.counts.copy()
        self.calledfuncs: CalledFunctions = {} if calledfuncs is None else calledfuncs.copy()
        self.callers: Callers = {} if callers is None else callers.copy()
        self.infile = infile
        self.outfile = outfile
        if infile:
            self._merge(infile)

    def _merge(self, infile: Path) -> None:
        """Add the counts file *infile*, or say why that is impossible."""
        try:
            counts, calledfuncs, callers = counts_file.load(infile)
            self.update(self.__class__(counts, calledfuncs, callers=callers))
        except (OSError, EOFError, ValueError) as error:
            print(f"Skipping counts file {infile!r}: {error}", file=sys.stderr)
            # A file that does not exist yet, or is empty, may be written later: nothing in it could be lost.
            if not isinstance(error, (FileNotFoundError, EOFError)):
                self.infile_error = error

    def is_ignored_filename(self, filename: str) -> bool:
        """Return whether *filename* is no file, but an origin of code such as `<string>`: it is not reported."""
        return filename.startswith("<") and filename.endswith(">")

    def update(self, other: CoverageResults) -> None:
        """Add the counts, functions and callers of *other*."""
        for line, count in other.counts.items():
            self.counts[line] = self.counts.get(line, 0) + count
        self.calledfuncs.update(dict.fromkeys(other.calledfuncs, 1))
        self.callers.update(dict.fromkeys(other.callers, 1))
        # Results of the standard library have no such attribute.
        reasons = getattr(other, "not_measured", ())
        self.not_measured += tuple(reason for reason in reasons if reason not in self.not_measured)

    def write_results(
        self,
        show_missing: bool = True,
        summary: bool = False,
        coverdir: Path | None = None,
        *,
        ignore_missing_files: bool = False,
    ) -> None:
        """Write a listing for each file with counts, print the tables, and save the counts to *outfile*.

        With *show_missing*, lines that could have run but did not are marked. With *summary*, a table of all files is
        printed. Listings go to the folder *coverdir*, by default beside their sources. With *ignore_missing_files*,
        files that do not exist are skipped without a message.
        """
        try:
            self._report(show_missing, summary, coverdir, ignore_missing_files)
        finally:
            # Also if the report failed: the saved counts can be reported again.
            if self.outfile:
                self._save(self.outfile)

    def _report(self, show_missing: bool, summary: bool, coverdir: Path | None, ignore_missing_files: bool) -> None:
        """Write the listings, and print the tables that are not empty."""
        if self.calledfuncs:
            _print(cover_listing.called_functions(self.calledfuncs))
        if self.callers:
            _print(cover_listing.calling_relationships(self.callers))
        rows: dict[str, tuple[int, int, str]] = {}
        for filename, counts in _by_file(self.counts).items():
            if self.is_ignored_filename(filename):
                continue
            source = filename.removesuffix("c") if filename.endswith(".pyc") else filename
            if ignore_missing_files and not os.path.isfile(source):
                continue
            # Without marks and a percentage if some code of the file ran uncounted: they would call that code missing.
            complete = all(filename != other for other, _reason in self.not_measured)
            module, path = _module_and_listing(source, coverdir)
            n_hits, n_lines = self._list(source, path, counts, mark_missing=show_missing and complete)
            if n_lines and complete:
                rows[module] = n_hits, n_lines, source
        if summary and rows:
            _print(cover_listing.summary(rows))
        for line in cover_listing.not_measured(self.not_measured):
            print(line, file=sys.stderr)

    def _list(self, source: str, path: str, counts: Mapping[int, int], *, mark_missing: bool) -> tuple[int, int]:
        """Write the listing of the file *source* to *path*, or say why not; return as `write_results_file` does."""
        try:
            # A counts file may name any path: a read of a pipe could block, and that of a device never end.
            encoding, _lines = tokenize.detect_encoding(io.BytesIO(read_regular(source, _LARGEST_SOURCE)).readline)
            executable = executable_lines(source) if mark_missing else {}
        except (OSError, SyntaxError, ValueError, tokenize.TokenError) as error:
            print(f"Not printing coverage data for {source!r}: {error}", file=sys.stderr)
            return 0, 0
        return self.write_results_file(path, linecache.getlines(source), executable, counts, encoding)

    def write_results_file(
        self,
        path: str,
        lines: Iterable[str],
        lnotab: Container[int | None],
        lines_hit: Mapping[int, int],
        encoding: str | None = None,
    ) -> tuple[int, int]:
        """Write the listing of *lines* to *path*; return how many lines ran, and how many could have run.

        *lnotab* has the numbers of the executable lines. *lines_hit* maps the lines that ran to their counts.
        *encoding* is that of the listing. Return zeros if the listing cannot be written.
        """
        if _is_foreign_link(path):
            print(f"Not writing {path!r}: it is a link that belongs to another user; remove it", file=sys.stderr)
            return 0, 0
        try:
            listing = open(path, "w", encoding=encoding)  # noqa: SIM115 - only errors of opening are handled
        except OSError as error:
            print(f"trace: Could not open {path!r} for writing: {error} - skipping", file=sys.stderr)
            return 0, 0
        with listing:
            return cover_listing.write_listing(listing, lines, lnotab, lines_hit)

    def _save(self, outfile: Path) -> None:
        """Save the counts to the file *outfile*, or say why that is impossible."""
        if self.infile_error is not None and self.infile and _is_same_file_or_pipe(self.infile, outfile):
            reason = f"{outfile!r} could not be read, and is left as it is"
            print(f"Can't save counts files because {reason}", file=sys.stderr)
            return
        try:
            counts_file.store(outfile, self.counts, self.calledfuncs, self.callers)
        except OSError as error:
            print(f"Can't save counts files because {error}", file=sys.stderr)


def _print(lines: Iterable[str]) -> None:
    """Print *lines* to the current standard output."""
    for line in lines:
        print(line)


def _by_file(counts: LineCounts) -> dict[str, dict[int, int]]:
    """Return *counts* by file, in the order of the first line of each, and by line."""
    by_file: dict[str, dict[int, int]] = {}
    for (filename, line), count in counts.items():
        by_file.setdefault(filename, {})[line] = count
    return by_file


def _module_and_listing(source: str, coverdir: Path | None) -> tuple[str, str]:
    """Return the name of the module in the file *source*, and the path of its listing; make the folder if needed."""
    if coverdir is None:
        folder = os.path.dirname(os.path.abspath(source))
        module = module_name(source)
    else:
        folder = os.fspath(coverdir)
        # If a file has the folder's name, opening each listing fails with a message.
        if not os.path.exists(folder):
            os.makedirs(folder, exist_ok=True)
        module = full_module_name(source)
    return module, os.path.join(folder, module + ".cover")


def _is_foreign_link(path: str) -> bool:
    """Return whether *path* is a link that belongs neither to this user nor to root."""
    try:
        return os.path.islink(path) and os.lstat(path).st_uid not in trusted_users()
    except OSError:
        return False


def _is_same_file_or_pipe(one: Path, other: Path) -> bool:
    """Return whether both paths lead to the same regular file, or to the same pipe."""
    try:
        mode = os.stat(one).st_mode
        return os.path.samefile(one, other) and (stat.S_ISREG(mode) or stat.S_ISFIFO(mode))
    except OSError:
        return False
