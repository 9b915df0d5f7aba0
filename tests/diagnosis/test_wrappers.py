"""Tests of instrument/diagnosis/wrappers.py: programs such as `env` and `nice` are removed from a command line."""

import pytest

from instrument.diagnosis.wrappers import strip_wrappers


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["A=1", "env", "B=2", "python", "C=3"], "A=1 B=2 P=1: python C=3"),
        (["env", "-i", "A=1", "python"], "A=1: python"),
        (["env", "-", "python"], ": python"),
        (["/usr/bin/env", "--", "A=1", "python", "-u"], "A=1 P=1: python -u"),
        (["env", "-uP", "--unset=Q", "--unset", "R", "python"], ": python"),
        (["env", "-S", "A=1 python -u", "x"], "A=1 P=1: python -u x"),
        (["env", "--split-string=-u P python 'a b'"], ": python a b"),
        (["nohup", "nice", "-5", "python"], "P=1: python"),
        (["timeout", "-k", "5", "--foreground", "20", "python", "x"], "P=1: python x"),
        (["time", "-v", "taskset", "-c", "0", "stdbuf", "-oL", "-e", "0", "python"], "P=1: python"),
        (["ionice", "-c", "3", "setsid", "-w", "chrt", "-o", "0", "python"], "P=1: python"),
        (["exec", "-a", "x", "python"], "P=1: python"),
        (["bash", "-ec", "A=1 exec python 'a b'"], "A=1 P=1: python a b"),
        (["bash", "-c", "python a | cat"], "P=1: bash -c python a | cat"),
        (["bash", "-c", "python $A"], "P=1: bash -c python $A"),
        (["bash", "x.sh"], "P=1: bash x.sh"),
        (["./nice", "python"], "P=1: ./nice python"),
        (["strace", "python"], "P=1: strace python"),
    ],
)
def test_wrappers_are_removed_from_a_command_line(words, expected):
    """The expected text has the changed environment before the inner command."""
    environment = {"P": "1"}
    command = strip_wrappers(words, environment)
    assert f"{' '.join(sorted(map('='.join, environment.items())))}: {' '.join(command)}" == expected
