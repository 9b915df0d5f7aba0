"""SQLite without the package `sqlite3`: the program does not see it, and keeps its own modules."""

import gc
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from data_files import writer as writer

from instrument.errors import DataError

ROOT = Path(__file__).parents[2]


def test_the_program_does_not_see_the_private_sqlite(tmp_path):
    """A write imports nothing that the program could see, and a later `import sqlite3` of the program works."""
    code = f"""
        import gc, itertools, sys  # modules that each start loads
        from instrument.data import rows, sqlite  # the modules of this package, without the extension
        from instrument.data.process_identity import ProcessInfo
        from instrument.data.writer import Writer
        before = set(sys.modules)
        writer = Writer({str(tmp_path)!r}, ProcessInfo.current())
        writer.write({{"lines": [(("/a", "v"), {{1: (1, 1., 1.)}})]}}, {{}})
        assert set(sys.modules) == before, set(sys.modules) - before
        assert not {{"sqlite3", "_sqlite3"}} & before
        import sqlite3
        assert sqlite3.Connection is not sqlite.load().Connection
        print(sqlite3.connect(writer.path).execute("SELECT sum(count) FROM line").fetchall())
        writer.write({{"lines": [(("/a", "v"), {{1: (2, 1., 1.)}})]}}, {{}})
        print(sqlite3.connect(writer.path).execute("SELECT sum(count) FROM line").fetchall())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.stdout, done.stderr) == ("[(1,)]\n[(2,)]\n", "")


def test_functools_of_the_program_is_left_alone(tmp_path):
    """The extension gets its cache from C: the program's `functools` is neither replaced nor called."""
    code = f"""
        import sys
        import functools
        from instrument.data.process_identity import ProcessInfo
        from instrument.data.writer import Writer
        def lru_cache(*args, **kwargs):
            raise RuntimeError("called")
        functools.lru_cache = lru_cache
        writer = Writer({str(tmp_path)!r}, ProcessInfo.current())
        for n in range(3):
            writer.write({{"lines": [(("/a", "v"), {{1: (n, 1., 1.)}})]}}, {{}})
        assert sys.modules["functools"] is functools
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stderr == ""


def test_a_python_without_sqlite_is_named(monkeypatch, writer):
    """The message says which module is missing."""
    from instrument.data import sqlite

    monkeypatch.setattr(sqlite, "_loaded", [])
    monkeypatch.setattr(sqlite, "_path", [])
    monkeypatch.setattr(sqlite, "is_builtin", lambda name: 0)
    with pytest.raises(DataError, match="without SQLite"):
        writer.write({}, {})


@pytest.mark.parametrize("is_there", [True, False])
def test_no_thread_sees_the_stand_in_for_functools(is_there, monkeypatch):
    """Other threads that load SQLite or import `functools` meanwhile always get the program's module."""
    import functools

    from instrument.data import sqlite

    interval = sys.getswitchinterval()
    order = list(sys.modules)
    loaded, wrong = [], []

    def load():
        try:
            loaded.extend(sqlite._load() for _ in range(50))
        except BaseException as error:
            wrong.append(error)

    if not is_there:
        monkeypatch.delitem(sys.modules, "functools")
    threads = [threading.Thread(target=load) for _ in range(2)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            found = sys.modules.get("functools")
            if found is not (functools if is_there else None):
                wrong.append(found)
    finally:
        sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()

    assert wrong == []
    assert gc.isenabled()
    assert len({module.connect for module in loaded}) == len(loaded) == 100
    if is_there:
        assert [name for name in sys.modules if name in order] == order


def test_functools_is_restored_if_sqlite_cannot_be_initialised(monkeypatch):
    """The error of the initialisation is the only effect."""
    import functools

    from instrument.data import sqlite

    def fail(module):
        assert sys.modules["functools"] is sqlite._Functools
        raise ImportError("no")

    monkeypatch.setattr(sqlite, "exec_dynamic", fail)
    monkeypatch.setattr(sqlite, "exec_builtin", fail)
    with pytest.raises(DataError, match="cannot be loaded: no"):
        sqlite._load()
    assert sys.modules["functools"] is functools
    assert gc.isenabled()

