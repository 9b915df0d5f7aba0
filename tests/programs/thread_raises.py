import sys
import threading


def fail():
    raise ValueError("in thread")


threading.excepthook = lambda arguments: print(arguments.exc_type.__name__, arguments.exc_value)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
print("main goes on")
