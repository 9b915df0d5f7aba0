"""Attack a measured process as another user, with what that user can do: plant journals, links, pipes and settings.

    sudo python tests/attack_as_other_user.py

Needs root, to become two users (the victim 65531, the attacker 65532), and a Python with this project on its path.
Each attack prints one line; the exit status is 1 if one of them succeeded. Everything happens below a new folder in
the temporary folder, which is removed.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from hostile import plant_journal

ROOT = Path(__file__).parents[1]
VICTIM, ATTACKER = 65531, 65532
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
PROGRAM = """\
import os, time
def work():
    return 1
for _ in range({turns}):
    work()
    time.sleep(0.01)
"""


def as_user(user, action):
    """Do *action* as *user*, in a process of its own; return whether that raised nothing."""
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o022)
            action()
            os._exit(0)
        except BaseException as error:
            print(f"    ({type(error).__name__}: {error})")
            sys.stdout.flush()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def victim(folder, *arguments, turns=150, **environment):
    """Start the victim's program in *folder*, measured; return the process."""
    (folder / "program.py").write_text(PROGRAM.format(turns=turns))
    os.chmod(folder / "program.py", 0o644)
    return subprocess.Popen(
        [sys.executable, *arguments, "program.py"],
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(ROOT / "instrument" / "bootstrap"), str(ROOT), *sys.path[1:]]), "INSTRUMENT": "1",
             "INSTRUMENT_FLUSH": "0.1", "INSTRUMENT_CACHE": "", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        user=VICTIM, group=VICTIM, extra_groups=[], umask=0o022,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def new(base, name, owner=VICTIM, mode=0o755):
    folder = base / name
    folder.mkdir()
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    return folder


def precious(base):
    """Return a file that only the victim can remove."""
    home = base / "home"
    if not home.exists():
        new(base, "home", mode=0o700)
    path = home / "precious"
    path.write_text("precious")
    os.chown(path, VICTIM, VICTIM)
    return path


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    return None


def journal_in(base, name, mode, **environment):
    """Plant a journal in a data folder with *mode*, of the victim; return whether the victim's file survived."""
    folder = new(base, name)
    data = new(folder, "data", mode=mode)
    file = precious(base)
    process = victim(folder, INSTRUMENT_DIR=str(data), **environment)
    found = wait_for(lambda: list(data.glob("*.sqlite")), 3)
    if found:
        as_user(ATTACKER, lambda: plant_journal(found[0], file))
    errors = process.communicate(timeout=60)[1].strip()
    return file.exists(), errors or f"{len(list(data.glob('*.sqlite')))} data files"


def attacks(base):
    """Yield the name of each attack, whether it failed, and what was said."""
    yield "journal in a folder of mode 0777", *journal_in(base, "a", 0o777)
    yield "journal in a sticky folder, 1777", *journal_in(base, "b", 0o1777)
    yield "journal in a shared folder that was asked for", *journal_in(base, "c", 0o777, INSTRUMENT_SHARED="1")

    folder = new(base, "d")
    file = precious(base)
    process = victim(folder)
    found = wait_for(lambda: list((folder / ".instrument").glob("*.sqlite")))
    planted = as_user(ATTACKER, lambda: plant_journal(found[0], file))
    process.communicate(timeout=60)
    yield "journal in the folder that is made", file.exists() and not planted, "the attacker cannot write to it"

    folder = new(base, "e")
    data = new(folder, "data", owner=ATTACKER, mode=0o777)
    process = victim(folder, INSTRUMENT_DIR=str(data))
    errors = process.communicate(timeout=60)[1].strip()
    yield "a data folder of the attacker", not list(data.glob("*.sqlite")), errors

    folder = new(base, "f", mode=0o1777)
    file = precious(base)
    as_user(ATTACKER, lambda: os.symlink(file.parent, folder / ".instrument"))
    errors = victim(folder).communicate(timeout=60)[1].strip()
    yield "a link to the victim's home", os.listdir(file.parent) == ["precious"], errors

    folder = new(base, "g", mode=0o700)
    data = new(folder, "data", mode=0o700)
    victim(folder, INSTRUMENT_DIR=str(data), turns=5).communicate(timeout=60)
    data.chmod(0o777)
    folder.chmod(0o755)
    file = precious(base)
    name = next(data.glob("*.sqlite")).name
    as_user(ATTACKER, lambda: plant_journal(data / name, file))
    command = [sys.executable, "-m", "instrument", "combine", str(data)]
    done = subprocess.run(
        command, cwd="/", env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]), "TMPDIR": str(base / "tmp")},
        user=VICTIM, group=VICTIM, extra_groups=[], capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    yield "a journal for combine", file.exists(), done.stderr.strip()

    for kind in ("pipe", "zero", "TERM"):
        above = new(base, f"h{kind}", mode=0o1777)
        folder = new(above, "work")
        path = above / "pyproject.toml"

        def plant(path=path, kind=kind):
            if kind == "pipe":
                os.mkfifo(path, 0o666)
            elif kind == "zero":
                os.symlink("/dev/zero", path)
            else:
                path.write_text('[tool.instrument]\nsignal = "TERM"\n')

        as_user(ATTACKER, plant)
        process = victim(folder, turns=3000)
        started = wait_for(lambda folder=folder: list((folder / ".instrument").glob("*.sqlite")), 10)
        process.send_signal(signal.SIGTERM)
        try:
            errors = process.communicate(timeout=10)[1].strip()
        except subprocess.TimeoutExpired:
            process.kill()
            errors = process.communicate()[1].strip() + " (survived SIGTERM)"
        yield f"settings: {kind}", bool(started) and process.returncode == -signal.SIGTERM, errors or "nothing said"


def main():
    if os.geteuid() != 0:
        sys.exit("this must be run as root")
    base = Path(tempfile.mkdtemp())
    failed = 0
    try:
        base.chmod(0o755)
        (base / "tmp").mkdir()
        (base / "tmp").chmod(0o1777)
        print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
        for name, held, said in attacks(base):
            failed += not held
            print(f"{'held' if held else 'SUCCEEDED':9}  {name}: {said.replace(str(base), '…')}", flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
