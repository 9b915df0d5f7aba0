def inner(): yield from (1, 2)
def outer(): yield from inner(); yield from inner()
def guarded():
    try: yield from inner()
    except KeyError: print("key")


print(list(outer()))
g = guarded()
next(g)
try:
    g.throw(KeyError)
except StopIteration:
    print("stopped")
