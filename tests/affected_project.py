"""A project in a git repository whose tests were counted apart, for tests of `instrument affected`."""

import contextlib
import json
import os
import subprocess

from instrument_command import run_instrument
from pytest_runs import Project

FILES = {
    ".gitignore": "__pycache__\n",
    "README.md": "A shop\n",
    "setup.py": "print('not run')\n",
    "shop/__init__.py": "",
    "shop/price.py": """\
from shop.rates import RATE
_table = None
def price(item):
    if item > 100:
        return discount(item)
    return item
def discount(item):
    return item * RATE
def table():
    global _table
    if _table is None:
        _table = compute()
    return _table
def compute():
    return {1: 2}
def unused():
    return 0
""",
    "shop/rates.py": "RATE = 2\n",
    "shop/db.py": """\
def connect():
    return {}
def disconnect(db):
    db.clear()
class Row:
    size = 3
    def __len__(self):
        return self.size
""",
    "tests/conftest.py": """\
import pytest
@pytest.fixture(scope="session")
def word():
    return make()
def make():
    return "a"
""",
    "tests/test_price.py": """\
import pytest
from shop import price
CHEAP = 50
def test_dear():
    assert price.price(150) == 300
def test_cheap():
    assert price.price(CHEAP) == 50
def test_table():
    assert price.table()[1] == 2
def test_table_again():
    assert price.table() == {1: 2}
@pytest.mark.skip
def test_skipped():
    assert price.unused()
""",
    "tests/test_db.py": """\
import pytest
@pytest.fixture(scope="module")
def db():
    from shop import db
    connection = db.connect()
    yield connection
    db.disconnect(connection)
def test_db(db):
    assert db == {}
def test_other(word):
    pass
""",
    "tests/test_child.py": """\
import subprocess, sys
def test_child():
    assert not subprocess.run([sys.executable, "-c", "import shop.rates"]).returncode
def test_failing():
    assert False
""",
}
DEAR, CHEAP, TABLE, TABLE_AGAIN, SKIPPED = (
    f"tests/test_price.py::test_{name}" for name in ("dear", "cheap", "table", "table_again", "skipped")
)
DB, OTHER = "tests/test_db.py::test_db", "tests/test_db.py::test_other"
CHILD, FAILING = "tests/test_child.py::test_child", "tests/test_child.py::test_failing"
ALL = {DEAR, CHEAP, TABLE, TABLE_AGAIN, SKIPPED, DB, OTHER, CHILD, FAILING}
#: These ran no code, or failed. They are always affected.
ALWAYS = {SKIPPED, FAILING}
RECORDING = ("--instrument", "--instrument-contexts", "--instrument-report=none", "-q")


class Repository(Project):
    """The project in a git repository in *folder*, with one commit of *files*, called `first`."""

    def __init__(self, folder, files=FILES):
        super().__init__(folder, files)
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "one")
        self.git("tag", "first")

    def git(self, *arguments):
        """Run git in the project, without the settings of this user."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        names = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        subprocess.run(["git", *names, *arguments], cwd=self.folder, env=environment, check=True, capture_output=True)

    def record(self, *arguments, status=1):
        """Run the tests, and count each of them apart; one fails."""
        return self.run(*RECORDING, *arguments, status=status)

    def affected(self, *arguments):
        """Return the JSON of `instrument affected` with *arguments*."""
        finished = self.command(*arguments, "--format", "json")
        assert (finished.status, finished.err) == (0, "")
        return json.loads(finished.out)

    def command(self, *arguments):
        """Return the finished process of `instrument affected` with *arguments*."""
        paths = self.environment()["PYTHONPATH"]  # the plugin is installed there
        return run_instrument(self.folder, "affected", *arguments, options=("-P",), PYTHONPATH=paths)

    @contextlib.contextmanager
    def edited(self, *edits):
        """Make *edits* within the block: a path, a text, and the text in its place. A new file has no text before."""
        texts = {}
        for path, before, after in edits:
            file = self.folder / path
            texts.setdefault(path, file.read_text(encoding="utf-8") if file.exists() else None)
            if after is None:
                file.unlink()
                continue
            text = texts[path] or ""
            assert before is None or text.count(before) == 1
            self.add({path: after if before is None else text.replace(before, after)})
        try:
            yield
        finally:
            for path, text in texts.items():
                if text is None:
                    (self.folder / path).unlink()
                else:
                    self.add({path: text})


def affected_tests(document):
    """Return the tests of a *document* in JSON that are affected; all, if all must run."""
    return set(document["known"]) if document["all"] else {each["test"] for each in document["tests"]}
