import importlib.util
import os
import runpy
import sys
import types

here = os.path.dirname(__file__)

spec = importlib.util.spec_from_file_location("loaded", os.path.join(here, "plugin.py"))
loaded = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loaded)
print(loaded.run(2), loaded.__name__)

print(runpy.run_path(os.path.join(here, "plugin.py"), run_name="script")["seen"])
print(runpy.run_module("plugin")["seen"])

made = types.ModuleType("made")
made.__file__ = "made.py"
sys.modules["made"] = made
exec(compile("def f(n):\n    return n + 1\n", "made.py", "exec"), vars(made))
import made as again

print(again.f(1))
