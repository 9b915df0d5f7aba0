import importlib.abc
import importlib.util
import sys


class Loader(importlib.abc.Loader):
    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.value = len(module.__name__)
        code = compile("def f():\n    return value * 2\n", "<made up>", "exec")
        exec(code, vars(module))


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.startswith("virtual_"):
            return importlib.util.spec_from_loader(name, Loader())
        return None


sys.meta_path.insert(0, Finder())
import virtual_module

print(virtual_module.value, virtual_module.f())
import real

print(real.f())
sys.meta_path.pop(0)
