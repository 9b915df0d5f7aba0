"""Tracers and modules that tests of `Trace`, and of its runs, share."""

import importlib.util
import os
import sys
import sysconfig

import instrument

#: Directories that tracers ignore: the standard library and the installed packages.
STDLIB = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sys.prefix]
#: The source file of small programs; it does not exist.
FILE = os.sep + os.path.join("surface", "program.py")


def make_tracer(**options):
    """Return a Trace that counts, and ignores the standard library unless *options* say otherwise."""
    return instrument.Trace(**{"count": 1, "trace": 0, "ignoredirs": STDLIB, **options})


def run(tracer, source, **names):
    """Run *source* as the program FILE under *tracer*; return its namespace, which has *names* from the beginning."""
    namespace = {"__file__": FILE, "__name__": "program", **names}
    tracer.runctx(compile(source, FILE, "exec"), namespace, namespace)
    return namespace


def load(path):
    """Return a new module from the file at *path*."""
    spec = importlib.util.spec_from_file_location("same_name", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
