"""Data files are found by their names, and the process in a name is asked for without a look into the file."""

import os
import subprocess
import sys

from instrument.data.data_files import is_of_ended_process
from instrument.data.process_identity import in_file_names

HOST = in_file_names(os.uname().nodename) if hasattr(os, "uname") else ""


def test_only_a_process_of_this_machine_has_ended_for_certain():
    """This process runs, a child that was waited for has ended, and other machines are not known."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert is_of_ended_process(f"/data/{HOST}-{child.pid}-17a-0123456789abcdef.compact")
    assert is_of_ended_process(f"/data/{HOST}-{child.pid}-17a-0123456789abcdef.2.sqlite")
    assert not is_of_ended_process(f"/data/{HOST}-{os.getpid()}-17a-0123456789abcdef.compact")
    assert not is_of_ended_process(f"/data/x{HOST}-{child.pid}-17a-0123456789abcdef.compact")
    assert not is_of_ended_process("/data/combined.sqlite")


def test_data_of_an_ended_process_is_removed_without_a_library_of_databases(tmp_path):
    """So a test run that is counted begins sooner. It removes the data of the run before."""
    (tmp_path / "shop.py").write_text("x = 1\n")
    folder = tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INSTRUMENT")}
    subprocess.run(
        [sys.executable, "-m", "instrument", "run", "--dir", folder, "--scope", "shop", "-c", "import shop"],
        env=environment, cwd=tmp_path, check=True,
    )
    assert [name for name in os.listdir(folder) if name != "plans"]
    program = (
        "import sys; from instrument.commands.erase import begin_anew; begin_anew(sys.argv[1], is_quiet=True); "
        "print([name for name in sys.modules if 'sqlite' in name or name.startswith('instrument.flow.derived')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, folder], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
    assert [name for name in os.listdir(folder) if name != "plans"] == []
