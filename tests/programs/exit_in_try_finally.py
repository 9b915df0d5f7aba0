import sys


def f():
    try:
        print("leaving")
        sys.exit(3)
    finally:
        print("finally")
    print("unreached")


f()
