"""Attack a measured process as another user, who can plant journals, links, pipes and settings.

    sudo python tests/attack_as_other_user.py

Needs root, to become two users (victim 65531, attacker 65532), and a Python that has this project on its path. Each
attack prints one line. The exit status is 1 if an attack succeeded. The files are in a temporary folder, removed at the
end.
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
from processes import data_files

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
    """Call *action* as *user*, in a process of its own; return whether it raised no exception."""
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
    """Start the victim's program in *folder*, measured, and return the process."""
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


def new_folder(base, name, owner=VICTIM, mode=0o755):
    folder = base / name
    folder.mkdir()
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    return folder


def precious(base):
    """Return the path of a file that only the victim can remove."""
    home = base / "home"
    if not home.exists():
        new_folder(base, "home", mode=0o700)
    path = home / "precious"
    path.write_text("precious")
    os.chown(path, VICTIM, VICTIM)
    return path


def wait_for(condition, seconds=20.0):
    """Return the first true result of *condition*, None if there is none within so many *seconds*."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    return None


def journal_in(base, name, mode, **environment):
    """Plant a journal in the victim's data folder, which has *mode*.

    Return whether the victim's file survived, and the messages of the victim's process.
    """
    folder = new_folder(base, name)
    data = new_folder(folder, "data", mode=mode)
    file = precious(base)
    process = victim(folder, INSTRUMENT_DIR=str(data), **environment)
    files = wait_for(lambda: data_files(data), 3)
    if files:
        as_user(ATTACKER, lambda: plant_journal(files[0], file))
    errors = process.communicate(timeout=60)[1].strip()
    return file.exists(), errors or f"{len(data_files(data))} data files"


def attacks(base):
    """Yield (name, whether the attack failed, messages) for each attack, in folders below *base*."""
    yield "journal in a folder of mode 0777", *journal_in(base, "a", 0o777)
    yield "journal in a sticky folder, 1777", *journal_in(base, "b", 0o1777)
    yield "journal in a shared folder that was asked for", *journal_in(base, "c", 0o777, INSTRUMENT_SHARED="1")

    folder = new_folder(base, "d")
    file = precious(base)
    process = victim(folder)
    files = wait_for(lambda: data_files(folder / ".instrument"))
    planted = as_user(ATTACKER, lambda: plant_journal(files[0], file))
    process.communicate(timeout=60)
    yield "journal in the folder that is made", file.exists() and not planted, "the attacker cannot write to it"

    folder = new_folder(base, "e")
    data = new_folder(folder, "data", owner=ATTACKER, mode=0o777)
    process = victim(folder, INSTRUMENT_DIR=str(data))
    errors = process.communicate(timeout=60)[1].strip()
    yield "a data folder of the attacker", not data_files(data), errors

    folder = new_folder(base, "f", mode=0o1777)
    file = precious(base)
    as_user(ATTACKER, lambda: os.symlink(file.parent, folder / ".instrument"))
    errors = victim(folder).communicate(timeout=60)[1].strip()
    yield "a link to the victim's home", os.listdir(file.parent) == ["precious"], errors

    folder = new_folder(base, "g", mode=0o700)
    data = new_folder(folder, "data", mode=0o700)
    victim(folder, INSTRUMENT_DIR=str(data)).communicate(timeout=60)
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
        above = new_folder(base, f"h{kind}", mode=0o1777)
        folder = new_folder(above, "work")
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
        started = wait_for(lambda folder=folder: data_files(folder / ".instrument"), 10)
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
    n_succeeded = 0
    try:
        base.chmod(0o755)
        (base / "tmp").mkdir()
        (base / "tmp").chmod(0o1777)
        print(f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
        for name, has_failed, messages in attacks(base):
            n_succeeded += not has_failed
            print(f"{'failed' if has_failed else 'SUCCEEDED':9}  {name}: {messages.replace(str(base), '…')}", flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 1 if n_succeeded else 0


if __name__ == "__main__":
    sys.exit(main())
