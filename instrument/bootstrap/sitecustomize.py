"""Starts the measurement in processes where the package is importable, but its start-up file is not installed.

`instrument run` puts the folder of this file first in PYTHONPATH, so the interpreter imports it as `sitecustomize`. It
starts the measurement, removes that folder from `sys.path`, and imports the next `sitecustomize`, if there is one.
"""

import os
import sys


def _start() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]
    if not sys.flags.ignore_environment and os.environ.get("INSTRUMENT"):
        root = os.path.dirname(os.path.dirname(here))
        sys.path.insert(0, root)
        try:
            from instrument.startup import start
        except Exception as error:
            print(f"instrument: nothing is counted in this process: {error}", file=sys.stderr)
        else:
            start()
        finally:
            if root in sys.path:
                sys.path.remove(root)
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)


_start()
