"""Runs pytest with the plugin, each run in a process of its own, and reads the counts of the run."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

from instrument_command import ROOT, environment_without_settings

from instrument.data.query import StoredMeasurement

ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]


def make_site(folder):
    """Make a folder of installed packages in *folder*, with the plugin and the metadata of a wheel; return its path.

    An editable install lists no file of the package, so pytest marks the package in a wheel only. It asks whether the
    file is there, which is empty here: the package is imported from the tree.
    """
    site = folder / "site-packages"
    info = site / "instrument_counts_of_tests-0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(ROOT / "instrument" / "pytest_plugin" / "instrument_pytest.py", site)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: instrument-counts-of-tests\nVersion: 0\n")
    entries = [f"[{group}]\n{name} = {value}\n" for group in ENTRY_POINTS for name, value in ENTRY_POINTS[group].items()]
    (info / "entry_points.txt").write_text("".join(entries))
    (info / "RECORD").write_text("instrument/__init__.py,,\ninstrument_pytest.py,,\n")
    (site / "instrument").mkdir()
    (site / "instrument" / "__init__.py").touch()
    return site


class Project:
    """A project in *folder* whose tests are run. *files* maps the paths of its files to their texts."""

    def __init__(self, folder, files):
        self.site = make_site(folder)
        self.folder = folder / "project"
        self.add(files)

    def add(self, files):
        """Write *files*, a dict from paths to texts."""
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text, encoding="utf-8")

    def environment(self, **variables):
        """Return the environment of a run: this one without settings of Python, pytest and the like, and with *variables*."""
        paths = os.pathsep.join(map(str, (ROOT, self.site)))
        environment = environment_without_settings(PYTHONPATH=paths)
        names = ("PYTEST", "COV", "FORCE_COLOR", "NO_COLOR", "COLUMNS")
        kept = {name: value for name, value in environment.items() if not name.startswith(names)}
        if "INSTRUMENT_CACHE" in os.environ:
            kept["INSTRUMENT_CACHE"] = os.environ["INSTRUMENT_CACHE"]
        return {**kept, "INSTRUMENT_QUIET": "1", **variables}

    def run(self, *arguments, program=("-m", "pytest"), status=0, options=(), **variables):
        """Run pytest with *arguments*, or another *program*; return its output, errors included, and check its *status*."""
        command = [sys.executable, *options, *program, "-p", "no:cacheprovider", *arguments]
        finished = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert finished.returncode == status, finished.stdout
        return finished.stdout

    def counts(self, data=".instrument"):
        """Return a Counter from the name of a file and a line to how often the line ran, of the data folder *data*."""
        counts = Counter()
        with StoredMeasurement([str(self.folder / data)]) as stored:
            for file in stored.files():
                for line, count in stored.counts(file).lines.counts().items():
                    counts[Path(file[0]).name, line] += count
        return counts
