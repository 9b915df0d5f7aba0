from contextlib import ExitStack, closing, suppress


class Resource:
    def __init__(self, name):
        self.name = name

    def close(self):
        print("close", self.name)


with ExitStack() as stack:
    for name in "abc":
        stack.enter_context(closing(Resource(name)))
    stack.callback(print, "callback")
    stack.enter_context(suppress(ValueError))
    raise ValueError
print("after")
