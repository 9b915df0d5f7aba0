import sys


def hook(event, arguments):
    if event == "compile":
        seen.append(event)


seen = []
sys.addaudithook(hook)


def f(n):
    return sys._getframe().f_lineno + n


print(f(1) > 0, eval("1 + 1"), seen)
