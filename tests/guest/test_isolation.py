"""Rewriting uses copies of modules that the program cannot see, and no module of the program."""

import os
import subprocess
import sys
import textwrap

import pytest
from recorded import ROOT, Tree

# Names of modules that are copied, and that the interpreter imports for no program before it begins.
NAMES = ("bytecode", "dataclasses", "dis", "inspect", "keyword", "opcode", "token", "tokenize", "typing", "weakref")


def shadow(folder, names):
    """Put modules with these names into *folder*, which print a line when they are executed."""
    for name in names:
        (folder / f"{name}.py").write_text("print('executed', __name__)\n", encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_program_may_have_modules_of_the_same_names(tmp_path, name):
    """None of them is executed when `bytecode` is loaded in the midst of the program."""
    tree = Tree(tmp_path)
    source = "import helper\nfor n in range(3):\n    helper.half(n)\n"
    cache = {"INSTRUMENT_CACHE": str(tmp_path / "cache")}
    helper = tmp_path / "helper.py"
    helper.write_text("def half(n):\n    return n // 2\n", encoding="utf-8")
    assert tree.run(source, **cache) == ("", "")
    shadow(tmp_path, [name])
    helper.write_text("def half(n):\n    more = n\n    return more // 2\n", encoding="utf-8")

    assert tree.run(source, **cache) == ("", "")  # the program is in the cache, so all is loaded for the helper
    assert tree.lines("helper.py")[3] == 3
    assert tree.lines() == {1: 2, 2: 8, 3: 6}


@pytest.mark.parametrize("ignore", [(), (os.path.dirname(os.__file__),)])
def test_a_traced_command_may_have_modules_of_the_same_names(tmp_path, ignore):
    """Without a cache, `bytecode` is loaded, but not from the folder that comes first on the search path."""
    (tmp_path / "bytecode").mkdir()
    shadow(tmp_path / "bytecode", ["__init__", "concrete"])  # as if it were the very package
    (tmp_path / "helper.py").write_text("def half(n):\n    return n // 2\n", encoding="utf-8")
    source = f"""
        import sys
        from instrument import Trace
        tracer = Trace(count=1, trace=0, ignoredirs={ignore!r})
        tracer.run("import helper; helper.half(4)")
        counts = tracer.results().counts
        print(sorted((line, n) for (file, line), n in counts.items() if file == helper.__file__))
        print(len(sys.meta_path) == n_finders, "bytecode" in sys.modules)
        import bytecode
    """
    source = textwrap.dedent(source).replace("import sys\n", "import sys\nn_finders = len(sys.meta_path)\n")
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "INSTRUMENT_CACHE": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == "[(1, 1), (2, 1)]\nTrue False\nexecuted bytecode\n"


def test_bytecode_can_be_loaded_in_the_midst_of_an_import(tmp_path):
    """Modules that the program has only half imported are copied, too."""
    tree = Tree(tmp_path)
    source = "import sys\nfor name in sys.argv[1:]:\n    __import__(name)\n"
    cache = {"INSTRUMENT_CACHE": str(tmp_path / "cache")}
    assert tree.run(source, **cache) == ("", "")
    assert tree.run(source, "threading", "asyncio", "unittest", "typing", **cache) == ("", "")
    assert tree.lines()[3] == 4


def test_sys_modules_may_hold_anything(tmp_path):
    """Lazy modules stay lazy, and modules may have any name, or none."""
    tree = Tree(tmp_path)
    (tmp_path / "lazy.py").write_text("print('loaded')\n", encoding="utf-8")
    (tmp_path / "nameless.py").write_text("del __name__, __spec__\n", encoding="utf-8")
    (tmp_path / "numbered.py").write_text("__name__ = 3\n", encoding="utf-8")
    helper = tmp_path / "helper.py"
    source = """
        import importlib.util, sys
        spec = importlib.util.find_spec("lazy")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules["lazy"] = lazy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(lazy)
        sys.modules[3] = sys.modules["none"] = None
        sys.modules["x.cloudpickle"] = sys.modules["int"] = 5
        import nameless, numbered
        import helper
        print(helper.half(4))
        del sys.modules[3]
    """
    for text in ("return n // 2", "more = n\n    return more // 2"):
        helper.write_text(f"def half(n):\n    {text}\n", encoding="utf-8")
        assert tree.run(source, INSTRUMENT_CACHE=str(tmp_path / "cache")) == ("2\n", "")
    assert tree.lines("helper.py")[3] == 1


def printed_by(source):
    """Return the lines that the program *source* prints, in which this package can be imported."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_no_thread_sees_the_copies():
    """Threads that import the same modules meanwhile, or load the copies too, get the modules of the program."""
    source = """
        import collections, copy, dis, enum, functools, inspect, operator, re, sys, threading, types, typing, weakref
        from instrument.guest import isolation, own_imports
        mine = (collections, copy, dis, enum, functools, inspect, operator, re, types, typing, weakref)
        names = [module.__name__ for module in mine]
        before = dict(sys.modules)
        wrong, loaded, rounds = [], [], []
        def watch():
            while not loaded:
                found = tuple(map(__import__, names))
                from collections import OrderedDict
                rounds.append(found is mine)
                if found != mine or OrderedDict is not collections.OrderedDict:
                    wrong.append([one.__name__ for one, other in zip(found, mine) if one is not other])
        def load():
            isolation.load()
            loaded.append(isolation.bytecode.ConcreteInstr)
        threads = [threading.Thread(target=load, daemon=True) for _ in range(2)]
        threads.append(threading.Thread(target=watch, daemon=True))
        sys.setswitchinterval(1e-5)
        for thread in threads: thread.start()
        for thread in threads: thread.join(60)
        print(len(loaded), loaded[0] is loaded[-1], len(rounds) > 10, wrong)
        print([name for name, module in sys.modules.items() if before.get(name) is not module], [*before] == [*sys.modules])
        print(len(own_imports.own_modules) > 20, loaded[0]("NOP").name)
    """
    assert printed_by(source) == ["2 True True []", "[] True", "True NOP"]


def test_lazy_imports_of_the_program_stay_lazy():
    """Since 3.15 a program may import `typing`, or names of it, lazily. Loading the copies does not resolve that."""
    source = """
        import sys
        lazy = "lazy " if sys.version_info >= (3, 15) else "if 0: "
        exec(lazy + "from typing import List\\n" + lazy + "import typing\\n" + lazy + "import typing.io")
        import dataclasses, inspect
        from instrument.guest import isolation
        before = [*sys.modules]
        isolation.load()
        print(isolation.bytecode.ConcreteInstr("NOP").name, [name for name in sys.modules if name not in before])
    """
    assert printed_by(source) == ["NOP []"]


def test_modules_that_the_program_has_not_imported_are_copied():
    """So are packages with their submodules, and a module that does not exist raises the usual error."""
    source = """
        import sys
        import importlib, unittest
        from instrument.guest.rare import copies as copies_module
        for name in ("simple", "util"):
            sys.modules.pop(f"importlib.{name}", None)
            vars(importlib).pop(name, None)
        before = [*sys.modules]
        copies = copies_module.Copies([*copies_module.FRESH, "json", "tomllib"])
        json = copies.imported("json.decoder")
        print(json is copies.module("json"), json.loads("[1]"), json.decoder.JSONDecoder is json.JSONDecoder)
        print(copies.imported("json", fromlist=["scanner", "*"]).scanner.__name__)
        print(copies.module("os") is sys.modules["os"], copies.module("sys") is sys)
        print(copies.imported("importlib", fromlist=["util"]).util.__name__, hasattr(importlib, "util"))
        for name in ("no_such_module", "json.no_such_module", "unittest.no_such_module"):
            try:
                copies.module(name)
            except ModuleNotFoundError as error:
                print(error)
        print(copies.module("tomllib").loads("x = [1, { y = 2 }]"))
        print([name for name in sys.modules if name not in before])
    """
    assert printed_by(source) == [
        *("True [1] True", "json.scanner", "True False", "importlib.util False"),
        *(f"No module named {name!r}" for name in ("no_such_module", "json.no_such_module", "unittest.no_such_module")),
        "{'x': [1, {'y': 2}]}",
        "[]",
    ]


def test_a_half_imported_module_of_the_program_is_copied():
    """Its package is copied, too, and the module of the program stays as it is."""
    source = """
        import sys, json, json.decoder
        from instrument.guest.rare import copies as copies_module
        assert copies_module.Copies([]).module("json") is json
        json.__spec__._initializing = True
        copies = copies_module.Copies([])
        print(copies.module("json") is json, copies.module("json.decoder") is json.decoder, sys.modules["json"] is json)
    """
    assert printed_by(source) == ["False False True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nobody forks")
def test_a_fork_while_another_thread_loads():
    """The child loads the copies itself: the thread that held the lock does not exist there."""
    source = """
        import os, threading
        from instrument.guest import isolation
        taken, done = threading.Event(), threading.Event()
        def hold():
            isolation._lock.gate.acquire()
            taken.set()
            done.wait(60)
        threading.Thread(target=hold, daemon=True).start()
        taken.wait()
        import warnings
        warnings.simplefilter("ignore")
        pid = os.fork()
        if not pid:
            import signal
            signal.alarm(30)
            isolation.load()
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        done.set()
    """
    assert printed_by(source) == ["0"]
