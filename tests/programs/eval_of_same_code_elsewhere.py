"""One code object, executed again and again in namespaces of files that are counted and of none, and many others."""

import os

code = compile("x = 1\nif x:\n    y = 2\n", __file__, "exec")
expression = compile("[n for n in range(3)]", __file__, "eval")
counted = {"__file__": __file__, "__name__": "counted"}
nameless = {}
ignored = {"__file__": os.path.join(os.path.dirname(os.__file__), "no_such_module.py"), "__name__": "no_such_module"}


def run(namespace):
    exec(code, namespace)
    return eval(expression, namespace)


for turn in range(4):
    for namespace in (counted, nameless, counted, ignored, nameless):
        assert run(namespace) == [0, 1, 2]

others = [compile(f"z = {n}", __file__, "exec") for n in range(700)]
for turn in range(2):
    for other in others:
        exec(other, counted)
    run(nameless)
    run(counted)
    eval("turn + 1", counted, {"turn": turn})
    eval("turn + 1", nameless, {"turn": turn})
del others, code
run.__globals__["code"] = compile("x = 3\n\n", __file__, "exec")
for turn in range(3):
    run(counted)
