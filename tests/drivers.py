"""Answers questions in a process of its own: a driver, a script that reads pickled questions and writes the answers.

A test starts a driver with `answers_of`, and a driver calls `serve`. A program is run so if the objects of the pytest
process would make that slow, or would change the result.
"""

import contextlib
import os
import pickle
import subprocess
import sys


@contextlib.contextmanager
def answers_of(driver, *arguments):
    """Yield a function that returns the answer to a question, a tuple, from the script *driver* with *arguments*."""
    command = [sys.executable, driver, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def answer_to(*question):
            pickle.dump(question, process.stdin)
            process.stdin.flush()
            return pickle.load(process.stdout)

        yield answer_to
        process.stdin.close()


def serve(answer):
    """Read questions until there are no more, and write the result of the function *answer* for each.

    Whatever else the driver prints goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            question = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(answer(*question), answers)
        answers.flush()
