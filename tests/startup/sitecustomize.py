"""Starts a process that is measured, with a recorder that is as small as can be in place of the real one.

What is tested with it is the way into a process; what was counted is written to the file that COUNTS names, with the
process's number appended.
"""

import os
import sys

sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(os.path.abspath(__file__))]


class Recorder:
    def __init__(self, settings):
        from instrument.flow.placement import MINIMAL
        from instrument.runtime import importer
        from instrument.runtime.scope import Scope
        from instrument.runtime.session import Window, pristine, session

        self.scope = Scope(settings.scope)
        self.session = session(MINIMAL)
        self.pristine = pristine
        importer.install(self)
        self.window = Window(self.session)
        if "COUNTS" in os.environ:
            import atexit

            atexit.register(self.write)

    def instrument(self, code, namespace, awaited=None):
        file, name = namespace.get("__file__"), namespace.get("__name__")
        if not file or not self.scope.selects(name, file):
            return code
        if awaited is None:
            return self.session.live_code(code, file)
        return self.session.module_code(code, file, awaited)

    instrument_main = instrument

    def imported(self, awaited):
        return None

    def write(self):
        with open(f"{os.environ['COUNTS']}.{os.getpid()}", "w", encoding="utf-8") as file:
            for _, name, counts in self.window.take():
                for line, n in counts.lines.items():
                    print(os.path.basename(name), line, n, file=file)


# A recorder like the real one is a room of the package, which is imported on the way.
room = type(sys)("instrument.runtime.recorder")
room.start = Recorder
if os.environ.get("INSTRUMENT"):
    import instrument.startup
    from instrument import config, isolation

    if config.is_on():
        isolation.load()
        sys.modules[room.__name__] = room
    instrument.startup.start()
    del instrument, isolation, config
del room, sys.modules["sitecustomize"]
sys.modules["sitecustomize"] = type(sys)("sitecustomize")
