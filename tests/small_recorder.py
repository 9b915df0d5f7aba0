"""A minimal recorder, which tests of the start of processes (test_startup) put in the place of the real one.

They test how a measurement begins, and not how data is written. The counts of lines go to the file that the environment
variable COUNTS names, with the number of the process appended.
"""

import os

from instrument.guest import isolation

isolation.load()


class Recorder:
    def __init__(self, settings):
        from instrument.flow.placement import MINIMAL
        from instrument.hooks import imports
        from instrument.scope.project import Scope
        from instrument.session.originals import original_of
        from instrument.session.session import session
        from instrument.session.window import Window

        self.scope = Scope(settings.scope)
        self.session = session(MINIMAL)
        self.original_of = original_of
        imports.install(self)
        self.window = Window(self.session)
        if "COUNTS" in os.environ:
            import atexit

            atexit.register(self.write)

    def instrument(self, code, namespace, module_import=None):
        file, name = namespace.get("__file__"), namespace.get("__name__")
        if not file or not self.scope.selects(name, file):
            return code
        if module_import is None:
            return self.session.instrument_exec_code(code, file)
        return self.session.instrument_module(code, file, module_import)

    instrument_main = instrument

    def code_for_cached_bytecode(self, module_import):
        return None

    def write(self):
        with open(f"{os.environ['COUNTS']}.{os.getpid()}", "w", encoding="utf-8") as file:
            for _, name, counts in self.window.take():
                for line, n in counts.lines.items():
                    print(os.path.basename(name), line, n, file=file)


start = Recorder
