"""The package does not call the builtins that a program has replaced."""

import os
import subprocess
import sys
from collections import Counter

import pytest
from recorded import Tree

PROGRAM = """
    import builtins, os, sys, time
    from posix import write

    getframe, isinst, issub, getattribute, encode = sys._getframe, isinstance, issubclass, getattr, str.encode
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    needing_a_frame = ("__loader__", "__build_class__", "super", "dir", "eval", "globals", "locals", "vars")

    def note(name):
        code = getframe(2).f_code
        write(file, encode("%s in %s of %s\\n" % (name, code.co_name, code.co_filename)))

    def recording(name, original):
        if isinstance(original, type):
            class Meta(type):
                def __call__(cls, *arguments, **more):
                    note(name)
                    return original(*arguments, **more)
                def __instancecheck__(cls, one):
                    note(name)
                    return isinst(one, original)
                def __subclasscheck__(cls, one):
                    note(name)
                    return issub(one, original)
                def __getattr__(cls, key):
                    return getattribute(original, key)
            return Meta(name, (), {"__class_getitem__": lambda item: original})
        def wrapper(*arguments, **more):
            note(name)
            return original(*arguments, **more)
        return wrapper

    for name, original in list(vars(builtins).items()):
        is_error = isinstance(original, type) and issubclass(original, BaseException)
        if callable(original) and not is_error and name not in needing_a_frame:
            setattr(builtins, name, recording(name, original))

    import one
    space = {"__name__": "one", "__file__": one.__file__}
    exec("def f(n):\\n    return n\\nf(3)", space)
    exec(compile("x = 1\\n", "two", "exec"), space)
    pid = os.fork()
    if pid == 0:
        import two
        sys.exit(0)
    os.waitpid(pid, 0)
    time.sleep(1.5)
    import late
    late.many()
"""
MODULE = "def many():\n    total = 0\n    for n in (1, 2, 3):\n        total += n\n    return total\nmany()\n"


@pytest.mark.skipif(os.name != "posix", reason="the program forks")
def test_replaced_builtins_get_the_same_calls_as_without_measurement(tmp_path):
    """That holds for imports, exec'd texts, forks, flushes and the exit, with an empty cache and with a filled one."""
    tree = Tree(tmp_path / "program")
    tree.folder.mkdir()
    tree.data = tmp_path / "data"
    options = {"INSTRUMENT_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("one", "two", "late"):
        (tree.folder / f"{name}.py").write_text(MODULE, encoding="utf-8")
    for n in range(2):
        plain, counted = tmp_path / f"plain{n}", tmp_path / f"counted{n}"
        (tree.folder / "late.py").write_text(f"{MODULE}x = {n}\n", encoding="utf-8")  # a new text, which is not in the cache
        assert tree.run(PROGRAM, str(counted), flush=0.5, **options) == ("", "")
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, tree.path, plain], env=environment, cwd=tree.folder, timeout=50, check=True)
        expected, actual = (Counter(path.read_text().splitlines()) for path in (plain, counted))
        assert (actual - expected, expected - actual) == (Counter(), Counter())
        assert counted.read_text().count("\n") > 100
    assert tree.lines("late.py")[4] == 12


def test_all_modules_of_the_package_have_builtins_of_their_own():
    """The modules that a measured process imports, and the functions in them, use the package's own builtins."""
    source = """if True:
        import sys, instrument, instrument.startup, instrument.trace, instrument.record.recorder
        from instrument.guest.own_builtins import importlib, ours
        found = [module for name, module in sys.modules.items() if name.partition(".")[0] == "instrument"]
        print(len(found) > 40, all(module.__builtins__ is ours for module in found))
        print(instrument.startup.start.__builtins__ is ours)
        print([copy.spec_from_loader.__builtins__["open"] is ours["open"] for copy in importlib()[:1]])
    """
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=50)
    assert done.stderr == ""
    assert done.stdout.split() == ["True", "True", "True", "[True]"]
