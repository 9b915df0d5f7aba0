"""Runs programs as trees of recorded processes, and reads the data files that these leave."""

import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

from processes import connect, data_files

ROOT = Path(__file__).parents[1]


class Tree:
    """Runs programs in *folder*, with the data folder in it."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.data = self.folder / "data"
        self.path = self.folder / "program.py"

    def environment(self, flush=0, **more):
        """Return the environment of a recorded process; *more* overrides its variables."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("INSTRUMENT_", "COV"))}
        environment |= {
            "PYTHONPATH": str(ROOT / "instrument" / "bootstrap"),
            "INSTRUMENT": str(self.folder),
            "INSTRUMENT_DIR": str(self.data),
            "INSTRUMENT_FLUSH": str(flush),
            "INSTRUMENT_QUIET": "1",  # on a slow machine, a process may say that rewriting took long
        }
        if "INSTRUMENT_CACHE" in os.environ:
            environment["INSTRUMENT_CACHE"] = os.environ["INSTRUMENT_CACHE"]
        return environment | more

    def write(self, source):
        """Make *source* the program."""
        self.path.write_text(textwrap.dedent(source), encoding="utf-8")
        time.sleep(0.05)  # a file as young as the process may not be the one that was compiled (link.source_versions)

    def start(self, source, *arguments, flush=0, options=(), **more):
        """Return the started process that runs *source* with *arguments*, and with *options* of the interpreter."""
        self.write(source)
        return subprocess.Popen(
            [sys.executable, *options, str(self.path), *arguments],
            cwd=self.folder,
            env=self.environment(flush, **more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, source, *arguments, flush=0, options=(), status=0, **more):
        """Run *source*, and return the texts that it wrote to standard output and standard error."""
        with self.start(source, *arguments, flush=flush, options=options, **more) as process:
            try:
                output, errors = process.communicate(timeout=50)
            except subprocess.TimeoutExpired:
                process.kill()  # the end of the `with` statement waits for the process
                raise
        assert process.returncode == status, errors
        return output, errors

    def files(self):
        """Return the data files."""
        return data_files(self.data)

    def rows(self, query):
        """Return the rows that *query* finds in the data files, of one file after the other."""
        rows = []
        for file in self.files():
            connection = connect(file)
            try:
                assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
                rows += connection.execute(query).fetchall()
            finally:
                connection.close()
        return rows

    def lines(self, name="program.py"):
        """Return a Counter from line numbers of the file *name* to how often they ran, in all processes together."""
        total = Counter()
        for path, line, n in self.rows("SELECT path, line, count FROM line JOIN file ON file.id = line.file"):
            if os.path.basename(path) == name:
                total[line] += n
        return total

    def calls(self, name):
        """Return how often the function called *name* was entered, in all processes together."""
        return sum(n for _, n in self.rows(f"SELECT name, count FROM function WHERE name = '{name}'"))

    def ends(self):
        """Return how the processes ended, sorted."""
        return sorted(ended for (ended,) in self.rows("SELECT ended FROM process"))
