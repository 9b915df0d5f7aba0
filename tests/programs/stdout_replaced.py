import contextlib
import io
import sys


class Upper:
    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        return self.stream.write(text.upper())

    def flush(self):
        self.stream.flush()


stream = io.StringIO()
with contextlib.redirect_stdout(stream):
    print("hidden")
sys.stdout = Upper(sys.stdout)
print("loud", repr(stream.getvalue()))
sys.stdout = sys.stdout.stream
print("quiet")
