"""Merge: data files add up, in any order and however often they are added."""

import itertools
import os
import random
import shutil
import sqlite3

import pytest
from data_files import add, in_format
from data_files import good as good
from processes import A_CHANGED, NO_SUCH_PID, A, B, Running, counts, files, more, process, write

from instrument.data import schema
from instrument.data.data_files import data_files
from instrument.data.merge import Merge
from instrument.data.query import StoredMeasurement
from instrument.data.scratch import Scratch
from instrument.data.writer import Writer
from instrument.errors import DataError


def test_counts_add_up_and_versions_are_kept_apart(tmp_path):
    """Counts of one version of a file are added; another version is another file."""
    one = write(tmp_path, "one", {A: {1: 5, 2: 1}, B: {1: 1}}).path
    two = write(tmp_path, "two", {A: {1: 7}, A_CHANGED: {1: 100}}).path

    assert add([one, two]) == ({A: {1: 12, 2: 1}, B: {1: 1}, A_CHANGED: {1: 100}}, [])


def test_times_and_functions_add_up(tmp_path):
    """The sum has the earliest first time and the latest last time, for lines and for functions."""
    for name, first, last in (("one", 10.0, 20.0), ("two", 5.0, 15.0)):
        writer = Writer(str(tmp_path), process(name))
        writer.write(
            {"lines": [(A, {1: (1, first, last)})], "functions": [(A, {("f", 1): (2, first, last)})]}, {"/c.py": f"why {name}"}, "exit"
        )
    with StoredMeasurement([str(tmp_path)]) as stored:
        [file] = stored.files()

        assert file == A
        assert dict(stored.counts(file).lines.items()) == {1: (2, 5.0, 20.0)}
        assert dict(stored.counts(file).functions.items()) == {("f", 1): (4, 5.0, 20.0)}
        assert stored.not_measured() == [("/c.py", "why one"), ("/c.py", "why two")]


def given_out(path):
    """Return the rows of the table `given_out` in the data file at *path*, sorted."""
    connection = sqlite3.connect(path)
    query = "SELECT part, path, version, name, line, taker FROM given_out JOIN file ON file.id = file"
    rows = connection.execute(query).fetchall()
    connection.close()
    return sorted(((path, version), name, line, taker) for _, path, version, name, line, taker in rows)


def test_functions_given_out_of_all_files_are_in_the_sum(tmp_path):
    """The sum has each receiver of each function. Those of a running process are replaced with its data."""
    f, g, h = (A, "f", 1, "cloudpickle"), (A, "f", 1, "marshal"), (A_CHANGED, "f", 1, "cloudpickle")
    one = write(tmp_path, "one", {A: {1: 5}}, given_out=[f]).path
    two = write(tmp_path, "two", {A: {1: 7}}, given_out=[f, g, h]).path
    with Running() as pid:
        writer = write(tmp_path, "three", {B: {1: 1}}, pid=pid, ended="", given_out=[f])
        total = combined(tmp_path, "total.sqlite", [one, two, writer.path])
        more(writer, {B: {1: 2}}, ended="", given_out=[f, (B, "new", 3, "dill")])
        again = combined(tmp_path, "again.sqlite", [total, writer.path, one])

    assert set(given_out(again)) == {f, g, h, (B, "new", 3, "dill")}
    with StoredMeasurement([str(again)]) as stored:
        found = {file: stored.counts(file).given_out for file in stored.files()}
    assert found == {
        A: {("f", 1): {"cloudpickle", "marshal"}},
        A_CHANGED: {("f", 1): {"cloudpickle"}},
        B: {("new", 3): {"dill"}},
    }


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_older_formats_are_read_and_combined(tmp_path, version):
    """Files of older formats are merged; those of formats 1 and 2 have no functions that were given out."""
    of_one = (A, "f", 1, "dill")
    one = write(tmp_path, "one", {A: {1: 5}}, given_out=[of_one]).path
    in_format(version, one)
    two = write(tmp_path, "two", {A: {1: 7}}, given_out=[(A, "g", 1, "dill")]).path
    total = combined(tmp_path, "total.sqlite", [one, two])

    assert counts(total) == {A: {1: 12}}
    assert given_out(total) == [*([of_one] if "given_out" in schema.tables(version) else []), (A, "g", 1, "dill")]


def test_the_same_data_twice_counts_once(tmp_path):
    """A copy of a file adds nothing, under any name."""
    path = write(tmp_path, "one", {A: {1: 5}}).path
    shutil.copy(path, tmp_path / "copy.sqlite")

    assert add([path, tmp_path / "copy.sqlite", path]) == ({A: {1: 5}}, [])


def test_newer_data_of_a_process_replaces_older_in_any_order(tmp_path):
    """The state with the most flushes replaces all others; a line that it lacks is not in the sum."""
    with Running() as pid:
        writer = write(tmp_path, "one", {A: {1: 5}}, pid=pid, ended="")
        states = []
        for n in range(3):
            states.append(shutil.copy(writer.path, tmp_path / f"state{n}.sqlite"))
            more(writer, {A: {1: 10 + n}, B: {n: 1}}, ended="")
        for order in itertools.permutations([*states, writer.path]):
            assert add(order) == ({A: {1: 12}, B: {0: 1, 1: 1, 2: 1}}, [])


def combined(directory, name, paths):
    """Merge *paths* to the file *name* in *directory*, and return its path."""
    output = directory / name
    assert add(paths, output)[1] == []
    return output


@pytest.mark.slow
def test_sums_of_sums_count_each_process_once(tmp_path):
    """A sum that is part of a larger sum adds nothing; sums without a common process add up."""
    one, two, three = (write(tmp_path, str(n), {A: {1: 10**n}}).path for n in range(3))
    small = combined(tmp_path, "small.sqlite", [one])
    large = combined(tmp_path, "large.sqlite", [one, two])
    other = combined(tmp_path, "other.sqlite", [three])
    for chosen in itertools.permutations([small, large, one, two]):
        assert add(chosen) == ({A: {1: 11}}, [])
    for chosen in itertools.permutations([small, large, other, three]):
        assert add(chosen) == ({A: {1: 111}}, [])


def test_sums_that_share_some_processes_are_refused(tmp_path):
    """Such sums cannot be taken apart: the second is refused, named, and adds nothing."""
    one, two, three = (write(tmp_path, str(n), {A: {1: 10**n}}).path for n in range(3))
    left = combined(tmp_path, "left.sqlite", [one, two])
    right = combined(tmp_path, "right.sqlite", [two, three])
    total, [reason] = add([left, right])

    assert total == {A: {1: 11}}
    assert "count them twice" in reason
    assert add([left, right, three])[0] == {A: {1: 111}}


def test_a_process_that_went_on_after_its_end_is_named(tmp_path):
    """A state in part 0 cannot be replaced, so newer data of that process is refused."""
    writer = write(tmp_path, "one", {A: {1: 5}})
    total = combined(tmp_path, "total.sqlite", [writer.path])
    more(writer, {A: {1: 9}})
    result, [reason] = add([total, writer.path])

    assert result == {A: {1: 5}}
    assert "went on" in reason


def test_a_running_process_keeps_a_part_to_itself(tmp_path):
    """Data of a running process can be added again and again; once the process has ended, it is settled."""
    with Running() as pid:
        writer = write(tmp_path, "one", {A: {1: 5}}, pid=pid, ended="")
        other = write(tmp_path, "two", {A: {1: 100}})
        total = combined(tmp_path, "total1.sqlite", [writer.path, other.path])
        more(writer, {A: {1: 6}}, ended="")
        again = combined(tmp_path, "total2.sqlite", [total, writer.path])
        assert counts(again) == {A: {1: 106}}
        more(writer, {A: {1: 7}}, ended="exit")
    last = combined(tmp_path, "total3.sqlite", [again, writer.path])

    assert counts(last) == {A: {1: 107}}
    connection = sqlite3.connect(last)
    assert connection.execute("SELECT DISTINCT part FROM process").fetchall() == [(0,)]
    connection.close()


def test_any_history_of_processes_and_sums_counts_right(tmp_path):
    """Processes write, end and are merged in random order: each sum has exactly the counts of all processes."""
    chance = random.Random(7)
    for history in range(8):
        folder = tmp_path / str(history)
        truth, writers, total, ids = {}, {}, None, itertools.count()
        given = {}
        with Running() as pid:
            for step in range(25):
                action = chance.random()
                if action < 0.4 or not writers:
                    name = f"p{next(ids)}"
                    truth[name] = 0
                    writers[name] = Writer(str(folder), process(name, chance.choice([pid, NO_SUCH_PID])))
                    action = 0.5
                    chosen = name
                else:
                    chosen = chance.choice(sorted(writers))
                if action < 0.8:
                    if writers[chosen].process.pid == NO_SUCH_PID and truth[chosen]:
                        del writers[chosen]  # it is dead, and can write no more
                        continue
                    truth[chosen] += chance.randrange(1, 100)
                    given.setdefault(chosen, set()).add((A, f"f{chance.randrange(4)}", 1, chance.choice(["dill", "x"])))
                    more(writers[chosen], {A: {1: truth[chosen]}}, ended="", given_out=given[chosen])
                else:
                    sources = [folder / name for name in files(folder) if chance.random() < 0.7 or total is None]
                    sources = [path for path in sources if path != total] + ([total] if total else [])
                    new = folder / f"total{step}.sqlite"
                    assert add(sources, new)[1] == []
                    if total:
                        total.unlink()
                    total = new
            whole = tmp_path / f"whole{history}.sqlite"
            result, refused = add([folder / name for name in files(folder)], whole)
            assert (result[A][1], refused) == (sum(truth.values()), [])
            assert set(given_out(whole)) == set().union(*given.values())


def test_sums_end_at_the_greatest_count(tmp_path):
    """A sum beyond the integers of SQLite is the greatest integer, and no floating point number."""
    for name in ("one", "two", "three"):
        write(tmp_path, name, {A: {1: 2**62, 2: 1}})

    assert add(data_files([str(tmp_path)])[0])[0] == {A: {1: 2**63 - 1, 2: 3}}


def test_odd_names_are_told_apart(tmp_path):
    """Names that UTF-8 cannot encode are merged like others."""
    odd = (os.fsdecode(b"/src/\xff.py"), "sha256:0")
    for name in ("one", "two"):
        write(tmp_path, name, {odd: {1: 1}}, functions=[(odd, {("\ud800", 1): (1, 1.0, 1.0)})])
    with StoredMeasurement([str(tmp_path)]) as stored:
        [file] = stored.files()
        assert (file[0], stored.counts(file).lines[1].count) == (odd[0], 2)
        assert dict(stored.counts(file).functions.items()) == {("\ud800", 1): (2, 1.0, 1.0)}


def test_a_refused_file_does_not_affect_the_others(good, tmp_path):
    """The counts of the other files are in the sum."""
    bad = tmp_path / "good" / "bad.sqlite"
    bad.write_text("bad")
    other = write(tmp_path, "two", {A: {1: 7}}).path
    result, [reason] = add([bad, good, other])
    assert result == {A: {1: 12}, B: {2: 1}}
    assert "no data file" in reason


def test_a_sum_that_cannot_be_written_is_named(tmp_path):
    """The message names the file of the sum, not a file that is added."""
    with Scratch() as scratch, pytest.raises(DataError, match=r"nowhere/sum' cannot be written: No such file"):
        Merge(str(tmp_path / "nowhere" / "sum"), scratch).__enter__()


def test_the_last_write_of_a_process_is_not_overlooked(tmp_path, monkeypatch):
    """A process that ends between the copy and the check whether it has ended is read once more."""
    writer = write(tmp_path, "one", {A: {1: 1}}, ended="")

    def ends_now(observer, process):
        if process.flushes == 1:
            more(writer, {A: {1: 2}}, ended="")
        return True

    monkeypatch.setattr("instrument.data.running.processes.Observer.has_ended", ends_now)
    assert add([writer.path]) == ({A: {1: 2}}, [])

