"""Programs that call one function until they are stopped, and commands on their data, for tests."""

import argparse
import sqlite3

BUSY = """\
import os, sys, time
def hot(n):
    return n + 1
print(flush=True)
while not os.path.exists("stop"):
    for n in range(100):
        hot(n)
    time.sleep(0.001)
"""


def run_command(command, tree, *arguments):
    """Run the module *command* on the data of *tree*; return its status."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.execute(parser.parse_args([*map(str, arguments), "--dir", str(tree.data)]))


def hot_calls(path):
    """Return how often `hot` was called, according to the data file at *path*."""
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT count FROM function WHERE name = 'hot'").fetchone()
        return row[0] if row else 0  # the process has just begun
    finally:
        connection.close()
