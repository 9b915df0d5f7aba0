import weakref


class Thing:
    pass


def gone(reference):
    print("gone", reference() is None)


thing = Thing()
reference = weakref.ref(thing, gone)
weakref.finalize(thing, print, "finalized")
print(reference() is thing)
del thing
print("end")
