def fail(kind):
    try:
        raise kind
    finally:
        print("cleanup", kind.__name__)


for kind in (MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
    try:
        fail(kind)
    except BaseException as error:
        print(repr(error))
try:
    [0] * (1 << 62)
except MemoryError:
    print("too much")
