import sys


class Bad:
    def __del__(self):
        raise ValueError("in del")


sys.unraisablehook = lambda broken: print("unraisable", broken.exc_type.__name__)
bad = Bad()
del bad
print("end")
