"""The recorder: what it selects, under which version it books counts, and what it does when it cannot write."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from recorded import ROOT, Tree


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def versions(tree, name):
    """Return the versions of the file *name* and how often its second line ran in each."""
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


def test_version_of_the_source(tree):
    """Counts are booked under the hash of the text that was compiled: fresh, from bytecode, and as main program."""
    (tree.folder / "module.py").write_text(MODULE)
    source = "import module\nmodule.f()\n"
    for _ in range(3):  # compiled, from bytecode, and from the cache, which knows that bytecode by its file
        tree.run(source)

    assert versions(tree, "module.py") == {sha(MODULE): 1}
    assert versions(tree, "program.py") == {sha(source): 1}
    assert set(tree.rows("SELECT path FROM file")) == {(str(tree.folder / "module.py"),), (str(tree.path),)}


def test_file_edited_while_the_program_runs(tree):
    """Counts are booked under the text that was compiled, though it is gone at once; after a reload, under both."""
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
        tree.run(source, PYTHONDONTWRITEBYTECODE="1")  # what is read from bytecode is looked at a moment later

    assert versions(tree, "module.py") == {sha(MODULE): 1, sha(EDITED): 1}


def test_a_hook_that_forbids_to_read_a_source_is_no_concern_of_the_import(tree):
    """What an audit hook raises for our reading is not raised into the program."""
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
def test_file_edited_after_its_bytecode_was_read(tree, n_looks):
    """Its text is known a second later. Before, counts are booked under what was rewritten, never under the new text."""
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


def test_what_is_handed_over_is_rewritten_once_for_all_processes(tree):
    """When the process ends, what it rewrote of it goes to the cache, where the next one finds it."""
    (tree.folder / "made.py").write_text("x = 1\n")
    cache = tree.folder / "cache"
    source = """
        import os
        made = os.path.abspath("made.py")
        exec(compile("x = 1\\n", made, "exec"), {"__file__": made, "__name__": "made"})
    """

    def kept():
        name = f"given in {tree.folder / 'made.py'}".encode()
        files = [path for path in cache.rglob("*") if path.is_file()]
        return {path: path.stat().st_mtime_ns for path in files if name in path.read_bytes()}

    cache.mkdir(mode=0o700)
    tree.run(source, INSTRUMENT_CACHE=str(cache))
    first = kept()
    tree.run(source, INSTRUMENT_CACHE=str(cache))
    assert len(first) == 1
    assert kept() == first


def test_what_is_let_go_of_is_retired_in_the_background(tree):
    """While the process runs, and whether it writes or not; no count is lost."""
    (tree.folder / "made.py").write_text("x = 1\n")
    output, _ = tree.run("""
        import os, time
        made = os.path.abspath("made.py")
        for n in range(3000):
            exec(compile(f"x = {n}\\n", made, "exec"), {"__file__": made, "__name__": "made"})
        from instrument.session.session import session
        passing = session("minimal").short_lived
        end = time.monotonic() + 20
        while len(passing) > 1500 and time.monotonic() < end:
            time.sleep(0.1)
        print(len(passing) <= 1500)
    """)
    assert output == "True\n"
    counted = tree.rows("SELECT SUM(count) FROM line JOIN file ON file.id = line.file WHERE path LIKE '%made.py'")
    assert counted == [(3000,)]


def test_module_reloaded_after_an_edit(tree):
    """Each text of a module that is reloaded is counted by itself."""
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


def test_unchecked_bytecode(tree):
    """Bytecode that is said never to be stale is booked under a text only if it was made of that."""
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


def test_code_without_a_file_is_left_out(tree):
    """What `exec` runs from a string has no file to be booked under."""
    tree.run('exec("a = 1\\nb = 2\\n")\nexec(compile("a = 1", "<made up>", "exec"))\n')

    assert {path for (path,) in tree.rows("SELECT path FROM file")} == {str(tree.path)}


def test_pytest_modules_are_counted(tree):
    """Test modules, which pytest compiles and executes itself, are recorded."""
    (tree.folder / "test_it.py").write_text("def test_it():\n    assert 1 + 1 == 2\n")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_it.py"],
        cwd=tree.folder,
        env=tree.environment(),
        check=True,
        capture_output=True,
    )

    assert tree.lines("test_it.py") == {1: 1, 2: 1}
    assert versions(tree, "test_it.py") == {sha("def test_it():\n    assert 1 + 1 == 2\n"): 1}


def test_nothing_selected_leaves_nothing(tree):
    """A process that runs no code in scope makes no file, and no directory."""
    tree.run("import json\n", INSTRUMENT="no_such_package")

    assert not tree.data.exists()


def test_directory_cannot_be_made(tree):
    """Where nothing can be written the program runs as ever, and one message says what is not saved, and why."""
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
def test_what_was_not_saved_is_said_where_it_is_seen(is_captured, tree):
    """A message that went to a file of who captured the output is repeated at the end; another one is not."""
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


def test_nothing_is_tried_again_after_the_end(tree):
    """Where the first try to write is the last one, no other is promised."""
    tree.data.write_text("a file")
    _output, errors = tree.run("def f(): pass\nf()\n")

    assert re.match(r"instrument: the counts of process \d+ were not saved: .*data.*\n$", errors)
    assert "tried again" not in errors


def test_what_could_not_be_written_is_kept(tree):
    """Once it can be written again, all of it is there."""
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


def test_data_file_removed(tree):
    """A process whose file is removed writes a new one, with all that it has counted."""
    tree.run(
        """
        import os, instrument
        def f():
            return 1
        f()
        recorder = instrument.record.recorder.current()
        recorder.flush()
        folder = os.environ["INSTRUMENT_DIR"]
        (name,) = os.listdir(folder)
        os.unlink(os.path.join(folder, name))
        recorder.flush()
        f()
        """
    )

    assert tree.calls("f") == 2


@pytest.mark.parametrize("wreck", ["os.truncate(path, 0)", "open(path, 'w').write('nothing')", "lock.append(locked(path))"])
def test_data_file_wrecked(tree, wreck):
    """A file that others have damaged or locked is replaced by one with all that was counted."""
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
        (name,) = os.listdir(folder)
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
def test_signal_asks(tree, flush):
    """With INSTRUMENT_SIGNAL a signal lets a process write, and it goes on."""
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


def test_first_and_last(tree):
    """Each line has the times at which it was first and last seen running."""
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
    """Counts that are read piece by piece in the midst of everything are those of one reading at the end."""
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
def test_much_code(tree, flush):
    """What is read and written in many pieces is whole: thousands of counters and lines, in files that take turns."""
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


def test_ever_new_code(tree):
    """Code that comes and goes is counted though it is forgotten between two flushes."""
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


def test_imports_little():
    """The recorder brings nothing heavy into a process."""
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


def test_late_exits_do_not_pile_up(tree):
    """Exits that are noted at the recursion limit are counted within a second or so, even if nothing is written."""
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
