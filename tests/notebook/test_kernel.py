"""Notebooks that a kernel of Jupyter executes."""

import json
import subprocess
import sys

import pytest
from instrument_command import environment_without_settings

pytestmark = pytest.mark.slow

CELLS = [
    "def early(n):\n    for _ in range(n):\n        pass\n    return n",
    "%load_ext instrument",
    "import asyncio\nasync def pause(n):\n    await asyncio.sleep(0)\n    return n",
    "%%instrument\nx = 0\nfor i in range(4):\n    x += await pause(i)\nearly(3) + x",
    "%%instrument\n%%time\nearly(2)",
    "%%instrument --save report\nx = 1\nif x > 1:\n    x = 2",
    "report.counts == {} or report.sections[0].hits()",
    "%%instrument\nx = 1\nearly('a')",
]
#: Executes the notebook with the cells on standard input, and prints outputs and the name of the error.
EXECUTE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
notebook = new_notebook(cells=[new_code_cell(cell) for cell in json.load(sys.stdin)])
error = ""
try:
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
except CellExecutionError as raised:
    error = raised.ename
json.dump([error, [cell.outputs for cell in notebook.cells]], sys.stdout)
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """Return the error that ended the notebook, and the outputs of its cells."""
    folder = tmp_path_factory.mktemp("kernel")
    finished = subprocess.run(
        [sys.executable, "-c", EXECUTE],
        input=json.dumps(CELLS),
        cwd=folder,
        env=environment_without_settings(
            IPYTHONDIR=str(folder),
            JUPYTER_CONFIG_DIR=str(folder),
            JUPYTER_RUNTIME_DIR=str(folder),
            JUPYTER_PLATFORM_DIRS="1",
            INSTRUMENT_CACHE=str(folder),
        ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=200,
    )
    return json.loads(finished.stdout)


def test_a_cell_shows_its_result_and_then_the_report(executed):
    """Top-level `await` works. Functions of earlier cells are counted, also those from before the extension."""
    result, report = executed[1][3]

    assert result["data"]["text/plain"] == "9"
    assert report["data"]["text/plain"] == (
        "In[4] (4 of 4 lines ran, 11 hits)\n1: x = 0\n5: for i in range(4):\n4:     x += await pause(i)\n1: early(3) + x\n"
        "In[1]: early (3 of 3 lines ran, 8 hits)\n   def early(n):\n4:     for _ in range(n):\n3:         pass\n"
        "1:     return n\n"
        "In[3]: pause (2 of 2 lines ran, 8 hits)\n   async def pause(n):\n4:     await asyncio.sleep(0)\n4:     return n"
    )
    assert report["data"]["text/html"].startswith('<div class="instrument-counts">')


def test_time_works_below_the_magic(executed):
    """It prints its times, and has its value."""
    times, result, report = executed[1][4]

    assert "Wall time" in times["text"]
    assert result["data"]["text/plain"] == "2"
    assert report["data"]["text/plain"].startswith("In[5] (2 of 2 lines ran, 2 hits)\n1: %%time\n1: early(2)\nIn[1]: early")


def test_the_report_can_be_kept_in_a_variable(executed):
    """Its counts are those of the cell."""
    assert executed[1][6][0]["data"]["text/plain"] == "2"


def test_an_error_ends_the_notebook_and_the_report_is_shown(executed):
    """The traceback is that of a plain cell: it has no frame of this package."""
    error, outputs = executed
    traceback, report = outputs[7]

    assert error == traceback["ename"] == "TypeError"
    assert len(traceback["traceback"]) == 5
    assert "instrument/notebook" not in "".join(traceback["traceback"])
    assert "In[1]: early (1 of 3 lines ran, 1 hit)" in report["data"]["text/plain"]
