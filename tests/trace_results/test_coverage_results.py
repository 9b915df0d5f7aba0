"""CoverageResults writes and prints the same as the interpreter's own class, and goes on where that class fails."""

import contextlib
import io
import linecache
import os
import pathlib
import pickle
import sys
import tempfile
import trace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_results.sources import sources

from instrument.trace_results.coverage_results import CoverageResults

SOURCE = """\
def f(x):
    if x:
        return 1
    return 2  #pragma NO COVER

print(f(0))
"""


@contextlib.contextmanager
def inside(folder):
    """Change to *folder* within the `with` statement."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def report(results_class, folder, *arguments, options=(), **keywords):
    """Write results in *folder*; return standard output, standard error, and all files with their content."""
    linecache.clearcache()  # the same relative paths meant other files before
    with (
        inside(folder),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        results_class(*arguments, **keywords).write_results(**dict(options))
    paths = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    return out.getvalue(), err.getvalue(), {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def put(folder, files):
    """Write *files*, a dictionary of relative paths and bytes, to *folder*."""
    for name, content in files.items():
        path = pathlib.Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def both(files, results, **keywords):
    """Return the reports of `trace` and of `instrument` for *results*, each in a folder of its own with *files*."""
    outcomes = []
    for results_class in (trace.CoverageResults, CoverageResults):
        with tempfile.TemporaryDirectory() as folder:
            put(folder, files)
            # Counts files are added to the very dictionaries given, so each class gets its own.
            own = {name: dict(values) for name, values in results.items()}
            outcomes.append(report(results_class, folder, **own, **keywords))
    return outcomes


FILES = ["a.py", os.path.join("pkg", "__init__.py"), os.path.join("pkg", "a.py")]
names = st.sampled_from(["f", "A.m", "<module>", "<lambda>"])
functions = st.one_of(st.tuples(st.sampled_from([*FILES, "<string>"]), st.sampled_from(["a", "b"]), names))
lines = st.tuples(
    st.sampled_from([*FILES, *FILES, FILES[0] + "c", "<string>", "<frozen importlib._bootstrap>"]), st.integers(1, 40)
)
results = st.fixed_dictionaries(
    {
        "counts": st.dictionaries(lines, st.integers(0, 10_000_000), max_size=60),
        "calledfuncs": st.dictionaries(functions, st.just(1), max_size=5),
        "callers": st.dictionaries(st.tuples(functions, functions), st.just(1), max_size=8),
    }
)
report_options = st.fixed_dictionaries(
    {"show_missing": st.booleans(), "summary": st.booleans(), "coverdir": st.sampled_from([None, "cover", "new/cover"])}
)


@settings(deadline=None)
@given(
    contents=st.tuples(sources, sources, sources),
    results=results,
    earlier=results,
    options=report_options,
    infile=st.sampled_from([None, "earlier", "missing", "empty"]),
    outfile=st.sampled_from([None, "earlier", "later", "no/such/folder", "pkg"]),
)
@pytest.mark.slow
def test_reports_are_those_of_trace(contents, results, earlier, options, infile, outfile):
    """For any counts, every byte on standard output, on standard error and on disk is that of `trace`."""
    files = dict(zip(FILES, contents, strict=True))
    files["empty"] = b""
    files["earlier"] = pickle.dumps((earlier["counts"], earlier["calledfuncs"], earlier["callers"]), 1)
    theirs, ours = both(files, results, infile=infile, outfile=outfile, options=options)

    assert ours == theirs


@pytest.mark.parametrize("unpackable", [({}, {}), ({}, {}, {}, {}), ()])
def test_files_without_three_parts_are_skipped(tmp_path, capsys, unpackable):
    """A pickle without exactly three parts is skipped with a message that names the file, as in `trace`."""
    path = tmp_path / "counts"
    path.write_bytes(pickle.dumps(unpackable, 1))
    CoverageResults(infile=str(path))

    assert capsys.readouterr().err.startswith(f"Skipping counts file {str(path)!r}: ")


def test_files_on_the_path_have_the_names_of_trace(tmp_path):
    """Files on `sys.path` have listings under the names by which they are imported."""
    put(tmp_path, {"root/pkg/a.py": SOURCE.encode(), "root/pkg/b.py": SOURCE.encode()})
    path = str(tmp_path / "root" / "pkg" / "a.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "root"), *sys.path])
        _out, _err, files = report(CoverageResults, tmp_path, {(path, 1): 1}, options={"coverdir": "cover"})

    assert os.path.join("cover", "pkg.a.cover") in files


def test_counts_are_shared_and_the_rest_is_copied():
    """`counts` is the given dictionary itself; functions, callers and `counter` are copies."""
    counts, calledfuncs, callers = {("a", 1): 1}, {("a", "a", "f"): 1}, {"caller": 1}
    results = CoverageResults(counts, calledfuncs, None, callers, "out")

    assert results.counts is counts
    assert results.counter == counts
    assert results.counter is not counts
    assert results.calledfuncs == calledfuncs
    assert results.calledfuncs is not calledfuncs
    assert results.callers == callers
    assert results.callers is not callers
    assert (results.infile, results.outfile) == (None, "out")


def test_reading_a_file_twice_adds_it_twice(tmp_path):
    """Each CoverageResults with a counts file adds it to the shared counts; `counter` has the counts before that."""
    path = tmp_path / "counts"
    path.write_bytes(pickle.dumps(({("a", 1): 3}, {}, {"caller": 1}), 1))
    counts = {("a", 1): 10}
    first = CoverageResults(counts, infile=str(path))
    second = CoverageResults(counts, infile=str(path))

    assert counts == {("a", 1): 16}
    assert first.counter == {("a", 1): 10}
    assert second.counter == {("a", 1): 13}
    assert first.callers == {"caller": 1}


def test_update_adds_counts_and_joins_the_rest():
    """Counts add up; functions and callers are joined. Results of the standard library can be added, too."""
    ours = CoverageResults({("a", 1): 1}, {("a", "a", "f"): 1})
    ours.not_measured = (("a", "why"),)
    other = CoverageResults({("a", 1): 2, ("b", 1): 5}, {("b", "b", "g"): 7}, callers={"caller": 7})
    other.not_measured = (("a", "why"), ("b", "how"))

    assert ours.update(other) is None
    ours.update(trace.CoverageResults({("b", 1): 1}))
    assert ours.counts == {("a", 1): 3, ("b", 1): 6}
    assert ours.calledfuncs == {("a", "a", "f"): 1, ("b", "b", "g"): 1}
    assert ours.callers == {"caller": 1}
    assert ours.not_measured == (("a", "why"), ("b", "how"))


def test_merging_goes_through_the_class_itself(tmp_path):
    """A counts file becomes an instance of the subclass, and is added by `update`."""
    path = tmp_path / "counts"
    path.write_bytes(pickle.dumps(({("a", 1): 3}, {}, {}), 1))
    seen = []

    class Results(CoverageResults):
        def update(self, other):
            seen.append(type(other))

    Results(infile=str(path))

    assert seen == [Results]


def test_ignored_files_can_be_chosen(tmp_path):
    """A subclass decides by `is_ignored_filename` which files are reported."""
    put(tmp_path, {"a.py": SOURCE.encode(), "b.py": SOURCE.encode()})

    class Results(CoverageResults):
        def is_ignored_filename(self, filename):
            return filename == "a.py"

    _out, _err, files = report(Results, tmp_path, {("a.py", 1): 1, ("b.py", 1): 1})

    assert sorted(files) == ["a.py", "b.cover", "b.py"]


def test_listings_can_be_written_by_a_subclass(tmp_path):
    """Each listing is written by `write_results_file`, with the arguments that `trace` passes."""
    put(tmp_path, {"a.py": SOURCE.encode()})
    seen = []

    class Results(CoverageResults):
        def write_results_file(self, path, lines, lnotab, lines_hit, encoding=None):
            seen.append((os.path.basename(path), lines, sorted(lnotab, key=str), lines_hit, encoding))
            return 1, 2

    out, _err, _files = report(Results, tmp_path, {("a.py", 1): 4}, options={"summary": True})

    assert seen == [("a.cover", SOURCE.splitlines(keepends=True), sorted(seen[0][2], key=str), {1: 4}, "utf-8")]
    assert " 50" in out


def test_a_missing_source_costs_only_its_own_listing(tmp_path):
    """A missing file stops the report of `trace`; here it is named, and all others are written."""
    put(tmp_path, {"a.py": SOURCE.encode()})
    counts = {("gone.py", 1): 1, ("a.py", 1): 1}
    for show_missing in (True, False):
        options = {"show_missing": show_missing, "summary": True}
        out, err, files = report(CoverageResults, tmp_path, counts, outfile="out", options=options)

        assert err == "Not printing coverage data for 'gone.py': [Errno 2] No such file or directory: 'gone.py'\n"
        assert "a.cover" in files
        assert pickle.loads(files["out"]) == (counts, {}, {})
        assert "a   (a.py)" in out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("mark", [False, True])
def test_sources_that_are_no_files_cost_only_their_own_listing(tmp_path, capsys, mark):
    """A counts file can name any path: a pipe does not block, and a device without end is not read."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "good.py").write_text("x = 1\n")
    counts = {(str(tmp_path / name), 1): 1 for name in ("pipe.py", "zero.py", "good.py")}
    CoverageResults(counts).write_results(mark, False, str(tmp_path / "listings"))

    errors = capsys.readouterr().err
    for name in ("pipe.py", "zero.py"):
        assert f"Not printing coverage data for {str(tmp_path / name)!r}: it is no file" in errors
    assert len(list((tmp_path / "listings").iterdir())) == 1


def test_missing_sources_can_be_passed_over(tmp_path):
    """With `ignore_missing_files`, missing files have no message."""
    options = {"ignore_missing_files": True}

    assert report(CoverageResults, tmp_path, {("gone.py", 1): 1}, options=options) == ("", "", {})


@pytest.mark.parametrize(
    "content", [b"<p>{{ template }}</p>", b"# coding: nonsense\n", b"\xff = 1\n", b"x = '\0'\n", b"\tx\n y\n"]
)
def test_a_file_that_is_no_python_costs_only_its_own_listing(tmp_path, content):
    """Code may name a template as its file, for example; that file is named, and the others are listed."""
    put(tmp_path, {"page.html": content, "a.py": SOURCE.encode()})
    counts = {("page.html", 1): 1, ("a.py", 1): 1}
    _out, err, files = report(CoverageResults, tmp_path, counts)

    assert err.startswith("Not printing coverage data for 'page.html': ")
    assert sorted(files) == ["a.cover", "a.py", "page.html"]


def test_a_listing_that_cannot_be_written_is_skipped(tmp_path, capsys):
    """A listing that cannot be opened has no lines, and the message of `trace`."""
    path = str(tmp_path / "no" / "folder.cover")
    for results_class in (trace.CoverageResults, CoverageResults):
        assert results_class().write_results_file(path, ["x"], {1: 1}, {}) == (0, 0)
    first, second = capsys.readouterr().err.splitlines()

    assert first == second


def test_counts_outlive_a_report_that_fails(tmp_path):
    """If the report raises, the counts are saved before the exception goes on."""

    class Results(CoverageResults):
        def is_ignored_filename(self, filename):
            raise ZeroDivisionError

    path = tmp_path / "counts"
    with pytest.raises(ZeroDivisionError):
        Results({("a.py", 1): 1}, outfile=str(path)).write_results()

    assert pickle.loads(path.read_bytes()) == ({("a.py", 1): 1}, {}, {})


def test_code_that_ran_uncounted_never_shows_zero(tmp_path):
    """A file that was not measured in full is named with the reason, and has neither marks nor a percentage."""
    put(tmp_path, {"a.py": SOURCE.encode(), "b.py": SOURCE.encode()})

    class Results(CoverageResults):
        not_measured = (("a.py", "f cannot be rewritten"),)

    out, err, files = report(Results, tmp_path, {("a.py", 6): 1, ("b.py", 6): 1}, options={"summary": True})

    assert err == "Not measured: 'a.py': f cannot be rewritten\n"
    assert b">>>>>>" not in files["a.cover"]
    assert b"    1: print" in files["a.cover"]
    assert b">>>>>>" in files["b.cover"]
    assert "a.py" not in out
    assert "b.py" in out


HARMFUL = b"cposix\nsystem\n(S'touch executed'\ntR."


@pytest.mark.parametrize(
    "content",
    [HARMFUL, b"foreign", b"\0\0", pickle.dumps(({}, {}, {}), 1)[:-1], pickle.dumps([1, 2, 3]), pickle.dumps(({}, {}))],
    ids=["harmful", "foreign", "binary", "truncated", "list", "pair"],
)
def test_a_counts_file_that_cannot_be_read_is_never_overwritten(tmp_path, content):
    """The file is named and stays unchanged, nothing in it is executed, and the report is written."""
    put(tmp_path, {"a.py": SOURCE.encode(), "counts": content})
    arguments = {("a.py", 1): 1}
    _out, err, files = report(CoverageResults, tmp_path, arguments, infile="counts", outfile="counts")
    first, second = err.splitlines()

    assert first.startswith("Skipping counts file 'counts': ")
    assert second == "Can't save counts files because 'counts' could not be read, and is left as it is"
    assert files["counts"] == content
    assert "a.cover" in files
    assert "executed" not in files


def test_another_file_can_be_written_when_one_could_not_be_read(tmp_path):
    """Only the unreadable file is protected; links to it are the same file."""
    put(tmp_path, {"a.py": SOURCE.encode(), "counts": b"foreign"})
    os.symlink("counts", tmp_path / "link")
    report(CoverageResults, tmp_path, {("a.py", 1): 1}, infile="counts", outfile="other")
    report(CoverageResults, tmp_path, {("a.py", 1): 1}, infile="counts", outfile="link")

    assert pickle.loads((tmp_path / "other").read_bytes()) == ({("a.py", 1): 1}, {}, {})
    assert (tmp_path / "counts").read_bytes() == b"foreign"


GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.py")), ids=lambda path: path.stem)
def test_listings_are_the_golden_ones(tmp_path, path):
    """The golden listing is beside the program, whose trailing comments give the counts.

    Set GOLDEN=write in the environment to keep the new listings. A listing that differs is left beside the golden one.
    """
    source = path.read_text(encoding="utf-8")
    counts = {}
    for number, line in enumerate(source.splitlines(), 1):
        _code, _hash, count = line.rpartition("# ")
        if count.isdecimal():
            counts[path.name, number] = int(count)
    put(tmp_path, {path.name: path.read_bytes()})
    _out, _err, files = report(CoverageResults, tmp_path, counts)
    listing, kept = files[path.stem + ".cover"], path.with_suffix(".cover")
    if os.environ.get("GOLDEN") == "write":
        kept.write_bytes(listing)
    if listing != kept.read_bytes():
        path.with_suffix(".differs").write_bytes(listing)

    assert listing == kept.read_bytes()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can make links of another user")
def test_links_of_another_user_are_not_written_through(tmp_path, capsys):
    """Their target would be another file of this user; the user's own links are followed."""
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "link").symlink_to("precious")
    os.chown(tmp_path / "link", 65533, -1, follow_symlinks=False)
    results = CoverageResults()

    assert results.write_results_file(str(tmp_path / "link"), ["x\n"], {1}, {1: 1}) == (0, 0)
    assert (tmp_path / "precious").read_text() == "kept"
    assert "it is a link that belongs to another user; remove it" in capsys.readouterr().err

    os.chown(tmp_path / "link", 0, -1, follow_symlinks=False)
    assert results.write_results_file(str(tmp_path / "link"), ["x\n"], {1}, {1: 1}) == (1, 1)
    assert (tmp_path / "precious").read_text() != "kept"
