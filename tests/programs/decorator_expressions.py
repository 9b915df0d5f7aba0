handlers = {}


def on(event):
    return lambda function: handlers.setdefault(event, function)


@on("a")
def a(): return 1


@(lambda function: function() or function)
def b():
    print("called while decorated")


@[on][0]("c")
def c():
    return 3


print(handlers["a"](), handlers["c"](), b())
