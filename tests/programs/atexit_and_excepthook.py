import atexit
import sys


def at_exit():
    print("too late")


def hook(kind, error, place):
    print("hook", kind.__name__)


atexit.register(at_exit)
sys.excepthook = hook
print("end")
atexit.unregister(at_exit)
