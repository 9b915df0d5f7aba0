"""The recorder: which code it counts, under which version of a source, and how it behaves if it cannot write."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from recorded import ROOT, Tree

from instrument.link.cache import FROM_EXEC


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def versions(tree, name):
    """Return a dict from the versions of the file *name* to how often its second line ran in each."""
    return {
        version: n
        for path, version, n in tree.rows(
            "SELECT path, version, count FROM line JOIN file ON file.id = line.file WHERE line = 2"
        )
        if os.path.basename(path) == name
    }


def sha(text):
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


MODULE = "def f():\n    return 1\n"
EDITED = "def f():\n    return 2\n"


def test_counts_are_booked_under_the_hash_of_the_source_text(tree):
    """For code that was just compiled, for code from bytecode, for code from the cache, and for the main program."""
    (tree.folder / "module.py").write_text(MODULE)
    source = "import module\nmodule.f()\n"
    for _ in range(3):  # compiled; from bytecode; from the cache, which looks bytecode up by its stamp
        tree.run(source)

    assert versions(tree, "module.py") == {sha(MODULE): 1}
    assert versions(tree, "program.py") == {sha(source): 1}
    assert set(tree.rows("SELECT path FROM file")) == {(str(tree.folder / "module.py"),), (str(tree.path),)}


def test_texts_with_equal_bytecode_are_told_apart(tree):
    """The cache has the version of the text. A comment changes the version, and not the bytecode."""
    for number in range(2):
        (tree.folder / "module.py").write_text(text := f"{MODULE}# comment {number}\n")
        os.utime(tree.folder / "module.py", (1e9 + number, 1e9 + number))
        for _ in range(3):  # compiled; from bytecode, which is found by its content; by its stamp
            tree.run("import module\nmodule.f()\n", PYTHONDONTWRITEBYTECODE="")
            assert versions(tree, "module.py") == {sha(text): 1}
            for file in tree.files():
                file.unlink()


def test_a_file_edited_during_the_run_is_booked_under_the_text_that_was_compiled(tree):
    """The text is replaced at once. After a reload there are counts of both texts."""
    source = f"""
        import importlib, module
        module.f()
        open("module.py", "w").write({EDITED!r})
        importlib.reload(module)
        module.f()
        open("module.py", "w").write("")
    """
    for _ in range(2):
        (tree.folder / "module.py").write_text(MODULE)
        tree.run(source, PYTHONDONTWRITEBYTECODE="1")  # else the second run takes bytecode, and reads the text later

    assert versions(tree, "module.py") == {sha(MODULE): 1, sha(EDITED): 1}


def test_an_audit_hook_that_forbids_to_read_a_source_does_not_disturb_the_import(tree):
    """The error of the hook, which our own reading causes, does not reach the program."""
    (tree.folder / "module.py").write_text(MODULE)
    source = """
        import sys
        opened = []
        def hook(event, arguments):
            if event == "open" and str(arguments[0]).endswith("module.py"):
                opened.append(1)
                if len(opened) > 1:
                    raise RuntimeError("twice")
        sys.addaudithook(hook)
        import module
        print(module.f(), len(opened) > 1)
    """
    assert tree.run(source) == ("1 True\n", "")
    assert [version[:9] for version in versions(tree, "module.py")] == ["compiled:"]


@pytest.mark.parametrize("n_looks", [0, 300])
def test_a_file_edited_after_its_bytecode_was_read_is_never_booked_under_the_new_text(tree, n_looks):
    """Its text is read a second later. If it is edited before that, the version is a hash of the compiled code."""
    module = tree.folder / "module.py"
    module.write_text(MODULE)
    os.utime(module, (1e9, 1e9))
    tree.run("import module", PYTHONDONTWRITEBYTECODE="")
    assert (tree.folder / "__pycache__").is_dir()
    for file in tree.files():
        file.unlink()
    source = f"""
        import module, time
        from instrument.record import recorder
        module.f()
        for _ in range({n_looks}):
            time.sleep(0.1)
            if not recorder.current()._instrumenter._unread:
                time.sleep(0.2)
                break
        open("module.py", "w").write({EDITED!r})
    """
    for _ in range(2):  # from bytecode, and from the cache
        module.write_text(MODULE)
        os.utime(module, (1e9, 1e9))
        tree.run(source, PYTHONDONTWRITEBYTECODE="")

    found = versions(tree, "module.py")
    if n_looks:
        assert found == {sha(MODULE): 1}
    else:
        assert all(version == sha(MODULE) or re.fullmatch("compiled:[0-9a-f]{64}", version) for version in found)


def test_execd_code_is_rewritten_once_for_all_processes(tree):
    """When a process ends it saves rewritten exec'd code to the cache, where the next process finds it."""
    (tree.folder / "made.py").write_text("x = 1\n")
    cache = tree.folder / "cache"
    source = """
        import os
        made = os.path.abspath("made.py")
        exec(compile("x = 1\\n", made, "exec"), {"__file__": made, "__name__": "made"})
    """

    def cache_files():
        name = f"{FROM_EXEC}{tree.folder / 'made.py'}".encode()
        files = [path for path in cache.rglob("*") if path.is_file()]
        return {path: path.stat().st_mtime_ns for path in files if name in path.read_bytes()}

    cache.mkdir(mode=0o700)
    tree.run(source, INSTRUMENT_CACHE=str(cache))
    first = cache_files()
    tree.run(source, INSTRUMENT_CACHE=str(cache))
    assert len(first) == 1
    assert cache_files() == first


def test_execd_code_that_the_program_has_dropped_is_retired_in_the_background(tree):
    """While the process runs, even if it never writes. No count is lost."""
    (tree.folder / "made.py").write_text("x = 1\n")
    output, _ = tree.run("""
        import os, time
        made = os.path.abspath("made.py")
        for n in range(3000):
            exec(compile(f"x = {n}\\n", made, "exec"), {"__file__": made, "__name__": "made"})
        from instrument.session.session import session
        short_lived = session("minimal").short_lived
        end = time.monotonic() + 20
        while len(short_lived) > 1500 and time.monotonic() < end:
            time.sleep(0.1)
        print(len(short_lived) <= 1500)
    """)
    assert output == "True\n"
    counted = tree.rows("SELECT SUM(count) FROM line JOIN file ON file.id = line.file WHERE path LIKE '%made.py'")
    assert counted == [(3000,)]


def test_each_text_of_a_reloaded_module_is_counted_by_itself(tree):
    """The module is edited between two flushes."""
    (tree.folder / "module.py").write_text(MODULE)
    tree.run(
        f"""
        import importlib, os, instrument
        import module
        module.f()
        instrument.record.recorder.current().flush()
        open("module.py", "w").write({EDITED!r} + "# longer")
        importlib.reload(module)
        for _ in range(3):
            module.f()
        """
    )

    assert versions(tree, "module.py") == {sha(MODULE): 1, sha(EDITED + "# longer"): 3}


def test_unchecked_bytecode_is_booked_under_a_text_only_if_it_was_compiled_from_that(tree):
    """Python does not compare such bytecode with the source file."""
    (tree.folder / "module.py").write_text(MODULE)
    compile_it = (
        "import py_compile; py_compile.compile('module.py', invalidation_mode="
        "py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    )
    subprocess.run([sys.executable, "-c", compile_it], cwd=tree.folder, check=True)
    tree.run("import module\nmodule.f()\n")
    assert versions(tree, "module.py") == {sha(MODULE): 1}

    (tree.folder / "module.py").write_text(EDITED)
    tree.run("import module\nmodule.f()\n")

    assert versions(tree, "module.py").pop(sha(MODULE)) == 1
    assert sha(EDITED) not in versions(tree, "module.py")
    assert len(versions(tree, "module.py")) == 2


def test_code_without_a_file_is_not_counted(tree):
    """Text that is passed to `exec` comes from no file."""
    tree.run('exec("a = 1\\nb = 2\\n")\nexec(compile("a = 1", "<made up>", "exec"))\n')

    assert {path for (path,) in tree.rows("SELECT path FROM file")} == {str(tree.path)}


def test_test_modules_that_pytest_compiles_are_counted(tree):
    """pytest rewrites, compiles and executes them itself."""
    (tree.folder / "test_it.py").write_text("def test_it():\n    assert 1 + 1 == 2\n")
    time.sleep(0.05)  # see `Tree.write`
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_it.py"],
        cwd=tree.folder,
        env=tree.environment(),
        check=True,
        capture_output=True,
    )

    assert tree.lines("test_it.py") == {1: 1, 2: 1}
    assert versions(tree, "test_it.py") == {sha("def test_it():\n    assert 1 + 1 == 2\n"): 1}


def test_a_process_without_code_in_the_scope_leaves_no_file(tree):
    """It does not make the data folder either."""
    tree.run("import json\n", INSTRUMENT="no_such_package")

    assert not tree.data.exists()


def test_a_data_folder_that_cannot_be_made_is_named_once(tree):
    """The program runs as ever, and one message gives the reason."""
    tree.data.write_text("a file")
    output, errors = tree.run(
        """
        import time
        time.sleep(0.3)
        print("unharmed")
        """,
        flush=0.01,
    )

    assert output == "unharmed\n"
    assert errors.count("instrument:") == 1
    assert re.match(r"instrument: the counts of process \d+ are not being saved: .*data.*\n$", errors)


@pytest.mark.parametrize("is_captured", [True, False])
def test_a_failure_told_into_captured_output_is_told_again_at_the_end(is_captured, tree):
    """A message that went to standard error itself is not repeated."""
    tree.data.write_text("a file")
    _output, errors = tree.run(
        f"""
        import os, time
        import instrument
        def f():
            return 1
        f()
        kept = os.dup(2)
        if {is_captured}:
            os.dup2(os.open("captured", os.O_CREAT | os.O_RDWR), 2)
        instrument.record.recorder.current().flush()
        os.dup2(kept, 2)
        """,
    )

    captured = (tree.folder / "captured").read_text() if is_captured else errors
    assert re.match(r"instrument: the counts of process \d+ are not being saved: .*data.*\(tried again at the end\)\n$", captured)
    if is_captured:
        assert re.match(r"instrument: the counts of process \d+ were not saved: .*data.*\n$", errors)
    assert errors.count("instrument:") == 1


def test_a_failure_at_the_end_promises_no_other_attempt(tree):
    """The first attempt to write is the last one."""
    tree.data.write_text("a file")
    _output, errors = tree.run("def f(): pass\nf()\n")

    assert re.match(r"instrument: the counts of process \d+ were not saved: .*data.*\n$", errors)
    assert "tried again" not in errors


def test_counts_that_could_not_be_written_are_written_later(tree):
    """As soon as the data folder can be made."""
    tree.data.write_text("a file")
    _output, errors = tree.run(
        f"""
        import os, time
        def f():
            return 1
        f()
        time.sleep(1.3)
        f()
        os.unlink({str(tree.data)!r})
        f()
        """,
        flush=0.1,
    )

    assert errors.count("instrument:") == 1
    assert tree.calls("f") == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "status", "kinds", "n_calls"),
    [
        ("f()", 0, [".compact"], 2),
        ("f(); instrument.record.recorder.current().flush(); f()", 0, [".sqlite"], 3),
        ("time.sleep(1); f(); os.kill(os.getpid(), 9)", -9, [".compact"], 1),
    ],
)
def test_the_first_flush_after_a_second_makes_no_database(end, status, kinds, n_calls, tree):
    """A process that ends soon needs none. If it is killed, the counts of the first second are there."""
    tree.run(
        f"""
        import os, time, instrument
        def f():
            return 1
        f()
        time.sleep(1.5)
        assert any(name.endswith(".compact") for name in os.listdir(os.environ["INSTRUMENT_DIR"]))
        {end}
        """,
        flush=10,
        status=status,
    )
    assert [os.path.splitext(file)[1] for file in tree.files()] == kinds
    assert tree.calls("f") == n_calls


def test_a_removed_data_file_is_replaced_by_one_with_all_counts(tree):
    """The next flush writes it."""
    tree.run(
        """
        import os, instrument
        def f():
            return 1
        f()
        recorder = instrument.record.recorder.current()
        recorder.flush()
        folder = os.environ["INSTRUMENT_DIR"]
        (name,) = [name for name in os.listdir(folder) if name.endswith(".sqlite")]
        os.unlink(os.path.join(folder, name))
        recorder.flush()
        f()
        """
    )

    assert tree.calls("f") == 2


def test_a_process_that_ends_before_its_first_write_leaves_a_compact_file(tree):
    """If it goes on and writes all the same, as after a failed exec, all counts are in an SQLite file only."""
    tree.run(
        """
        import os, sys
        def f():
            return 1
        f()
        try:
            os.execvp("no-such-program", ["x"])
        except OSError:
            f()
        if "flush" in sys.argv:
            sys.modules["instrument.record.recorder"].current().flush()
            print([name for name in os.listdir(os.environ["INSTRUMENT_DIR"]) if name != "plans"])
            f()
        """,
        PATH="/a:/b:/c",
    )
    assert ([path.suffix for path in tree.files()], tree.calls("f"), tree.ends()) == ([".compact"], 2, ["exit"])
    assert tree.rows("SELECT flushes FROM process") == [(2,)]  # not once for each folder of PATH
    output, _ = tree.run(tree.path.read_text(), "flush", PATH="/a:/b:/c")
    assert output.count(".compact") == output.count(".sqlite") == 1
    assert sorted(path.suffix for path in tree.files()) == [".compact", ".sqlite"]
    assert (tree.calls("f"), tree.ends()) == (5, ["exit", "exit"])


def test_a_flush_without_new_counts_leaves_a_compact_file_alone(tree):
    """A process that has written before an exec that failed keeps its one file until it counts more."""
    output, _ = tree.run(
        """
        import functools, operator, os, sys
        def f():
            return 1
        f()
        recorder = sys.modules["instrument.record.recorder"].current()
        finish, names = functools.partial(recorder.finish, "exec"), functools.partial(os.listdir, os.environ["INSTRUMENT_DIR"])
        # Nothing is counted between these calls.
        results = list(map(operator.call, [finish, recorder.flush, names]))
        print(sorted(name.rpartition(".")[2] for name in results[-1] if name != "plans"))
        """
    )
    assert output == "['compact']\n"
    assert tree.calls("f") == 1


@pytest.mark.parametrize("wreck", ["os.truncate(path, 0)", "open(path, 'w').write('nothing')", "lock.append(locked(path))"])
def test_a_damaged_or_locked_data_file_is_replaced_by_one_with_all_counts(tree, wreck):
    """Another process has damaged or locked it."""
    _, errors = tree.run(
        f"""
        import os, sqlite3, instrument
        def f():
            return 1
        def locked(path):
            connection = sqlite3.connect(path)
            connection.execute("BEGIN")
            connection.execute("SELECT * FROM line").fetchall()
            return connection
        lock = []
        f()
        recorder = instrument.record.recorder.current()
        recorder.flush()
        folder = os.environ["INSTRUMENT_DIR"]
        (name,) = [name for name in os.listdir(folder) if name.endswith(".sqlite")]
        path = os.path.join(folder, name)
        {wreck}
        f()
        recorder.flush()
        f()
        os._exit(0)
        """
    )

    assert errors == ""
    assert tree.calls("f") == 3


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal")
@pytest.mark.parametrize("flush", [0, 100])
def test_the_flush_signal_makes_a_process_write_and_go_on(tree, flush):
    """INSTRUMENT_SIGNAL names the signal."""
    tree.run(
        """
        import os, signal, time
        def f():
            return 1
        f()
        os.kill(os.getpid(), signal.SIGUSR1)
        folder = os.environ["INSTRUMENT_DIR"]
        while not os.path.exists(folder) or not any(name.endswith(".sqlite") for name in os.listdir(folder)):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        flush=flush,
        status=-signal.SIGKILL,
        INSTRUMENT_SIGNAL="USR1",
    )

    assert tree.calls("f") == 1


def test_functions_have_the_times_at_which_they_were_first_and_last_seen(tree):
    """The times are those of flushes."""
    tree.run(
        """
        import time
        def early():
            return 1
        def late():
            return 1
        early()
        late()
        time.sleep(1)
        late()
        """,
        flush=0.1,
    )
    seen = {name: (first, last) for name, first, last in tree.rows("SELECT name, first, last FROM function")}

    assert seen["early"][1] - seen["early"][0] < 0.5
    assert 0.5 < seen["late"][1] - seen["late"][0] < 20


def test_exact_in_generators_exceptions_and_threads(tree):
    """Many readings during the run give the same counts as one reading at the end."""
    source = """
        import sys, threading
        def numbers(n):
            for i in range(n):
                try:
                    if i % 3 == 0:
                        raise ValueError(i)
                    yield i
                except ValueError:
                    continue
                finally:
                    pass
        def deep(n):
            if n == 0:
                return sum(numbers(100))
            return deep(n - 1)
        def work():
            for n in range(300):
                deep(n % 20)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for one in threads: one.start()
        for one in threads: one.join()
    """
    tree.run(source, flush=0)
    expected = tree.lines()
    for file in tree.files():
        file.unlink()
    tree.run(source, flush=0.001)

    assert tree.lines() == expected
    assert expected[7] == 3 * 300 * 34


@pytest.mark.parametrize("flush", [0, 0.02])
def test_thousands_of_functions_are_read_and_written_without_loss(tree, flush):
    """Counters and lines are read and written in parts, while functions of two files run in turns."""
    for name in ("one", "two"):
        functions = (f"def f{n}(a):\n    if a:\n        a += {n}\n    return a\n" for n in range(700))
        (tree.folder / f"{name}.py").write_text("".join(functions))
    tree.run(
        """
        import one, two
        for round in range(2):
            for n in range(700):
                for module in (one, two):
                    for time in range(n % 5):
                        getattr(module, f"f{n}")(time)
        """,
        flush=flush,
    )

    for name in ("one.py", "two.py"):
        lines = tree.lines(name)
        assert len(lines) == 700 + 560 * 2 + 420
        for n in range(700):
            times = 2 * (n % 5)
            expected = [1, times, times - 2 * (times > 0), times]
            assert [lines[4 * n + line] for line in (1, 2, 3, 4)] == expected


def test_code_that_is_retired_between_two_flushes_is_counted(tree):
    """Each round of a loop executes new code."""
    tree.run(
        """
        import sys
        space = {"__file__": __file__, "__name__": "made"}
        for n in range(3000):
            exec(compile(f"a = {n}\\nb = a\\n", __file__ + "x", "exec"), space)
        """,
        flush=0.01,
    )

    assert tree.lines("program.pyx") == {1: 3000, 2: 3000}


def test_the_recorder_imports_no_heavy_module():
    """Nor any that the program would find in `sys.modules`."""
    code = """
        import sys
        before = set(sys.modules)
        import instrument.record.recorder
        print(*sorted(set(sys.modules) - before))
    """
    output = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"dis", "inspect", "tokenize", "re", "enum", "ast", "threading", "sqlite3", "typing", "bytecode", "signal"}

    assert not heavy & set(output)


def test_exits_noted_at_the_recursion_limit_are_counted_within_a_second(tree):
    """Even if nothing is written. Else they would pile up."""
    output, _ = tree.run(
        """
        import time
        from instrument.session.session import session
        records = session("minimal").records
        records.late.extend([-1] * 50000)
        until = time.monotonic() + 20
        while records.late and time.monotonic() < until:
            time.sleep(0.05)
        print(len(records.late), records[-1].__length_hint__() > 0)
        """,
        flush=0,
    )

    assert output == "0 True\n"
