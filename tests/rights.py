"""Show how many counts are kept if a process loses rights, or changes its root folder.

    python tests/rights.py

Needs root, on Linux. For each case a program makes 6,000 calls, 1,000 of them before the change. The script prints how
many of them were counted, and the messages of the program. Its files are in temporary folders.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from instrument.data.schema import SUFFIXES

ROOT = Path(__file__).parents[1]
WORK = """
import os, sys, time
def work(n):
    for _ in range(n):
        call()
def call():
    return None
from instrument.record import recorder
def flush():
    recorder.current().flush()
folder = os.environ["INSTRUMENT_DIR"]
work(1000)
"""
OPEN = "os.umask(0)\nos.makedirs(folder, exist_ok=True)\nos.chmod(folder, 0o777)\n"
CASES = {
    "chroot": ("os.chroot(os.environ['JAIL'])\nos.chdir('/')\n", "work(5000)"),
    "chroot, flushed before": ("flush()\nos.chroot(os.environ['JAIL'])\nos.chdir('/')\n", "work(5000)\nflush()"),
    "chroot by C": (
        "import ctypes\nlibc = ctypes.CDLL(None)\ntime.sleep(0.3)\nassert libc.chroot(os.environ['JAIL'].encode()) == 0\n",
        "work(5000)",
    ),
    "setuid, folder for all": (OPEN + "os.setuid(65534)\n", "work(5000)"),
    "setuid, flushed, folder for all": (OPEN + "flush()\nos.setuid(65534)\n", "work(5000)\nflush()\nflush()"),
    "setuid, folder with sticky bit": (
        OPEN + "os.chmod(folder, 0o1777)\nflush()\nos.setuid(65534)\n",
        "work(2000)\nflush()\nwork(3000)",
    ),
    "setuid, folder of root": ("os.setuid(65534)\n", "work(5000)"),
    "setgid and setuid, folder for all": (OPEN + "os.setgid(65534)\nos.setuid(65534)\n", "work(5000)"),
    "file given to another user": (
        OPEN + "os.seteuid(1)\nflush()\nos.seteuid(0)\npath = next(entry.path for entry in os.scandir(folder) if entry.name.endswith('.sqlite'))\n"
        "os.chown(path, 2, 2)\nos.chmod(path, 0o644)\nos.setuid(1)\n",
        "work(5000)",
    ),
}


def run(name, before, after):
    folder = Path(tempfile.mkdtemp(prefix="rights-"))
    try:
        os.chmod(folder, 0o755)
        (folder / "jail").mkdir()
        program = folder / "program.py"
        program.write_text(WORK + before + after + "\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
        environment |= {
            "INSTRUMENT": str(folder),
            "INSTRUMENT_DIR": str(folder / "data"),
            "INSTRUMENT_CACHE": str(folder / "cache"),
            "JAIL": str(folder / "jail"),
        }
        done = subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, timeout=50)
        command = [sys.executable, "-m", "instrument", "report", str(folder / "data"), "--json"]
        report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50)
        calls = re.findall(r'"calls": (\d+),[^{}]*"name": "call"|"name": "call"[^{}]*"calls": (\d+)', report.stdout)
        calls = [int(one or other) for one, other in calls]
        names = sorted(set(os.listdir(folder / "data")) - {"plans"}) if (folder / "data").is_dir() else []
        print(f"{name}: status {done.returncode}, {sum(calls)} of 6000, {len(names)} files")
        print("   ", done.stderr.strip()[-600:] or "(nothing said)", report.stderr.strip()[:300])
        in_jail = [str(path.relative_to(folder)) for path in (folder / "jail").rglob("[!.]*") if path.suffix in SUFFIXES]
        if in_jail:
            print("    in the new root:", *in_jail)
        left = [one for one in names if not one.endswith(SUFFIXES)]
        if left:
            print("    left behind:", *left)
    finally:
        shutil.rmtree(folder)


if os.geteuid() != 0:
    sys.exit("this needs to be run as root")
for name, (before, after) in CASES.items():
    run(name, before, after)
