import builtins
import code
import types
from builtins import exec as imported

TEXT = "a = 1\nb = 2\n"
exec_ = getattr(builtins, "exec")
run_it = exec


def given(name, mode="exec"):
    text = TEXT if mode == "exec" else "1 + 1"
    return compile(text, name, mode), {"__file__": name, "__name__": "x"}


def by_global_names():
    exec_(*given("m1.py"))
    run_it(given("m2.py")[0], {"__file__": "m2.py"})
    imported(given("m3.py")[0], {"__file__": "m3.py"})


def by_local_names(run=exec, evaluate=eval):
    here = exec
    here(given("m4.py")[0], {"__file__": "m4.py"})
    run(given("m5.py")[0], {"__file__": "m5.py"})
    print(evaluate(given("m6.py", "eval")[0], {"__file__": "m6.py"}))


def by_parameter(exec):
    exec(given("m7.py")[0], {"__file__": "m7.py"})


def by_attribute():
    builtins.exec(given("m8.py")[0], {"__file__": "m8.py"})
    print(builtins.eval(given("m8.py", "eval")[0], {"__file__": "m8.py"}))


def by_string():
    getattr(builtins, "exec")(given("m9.py")[0], {"__file__": "m9.py"})
    vars(builtins)["exec"](given("m9.py")[0], {"__file__": "m9.py"})


def by_star():
    exec(*given("m10.py"))
    exec(*list(given("m10.py")))
    exec(given("m10.py")[0], *[{"__file__": "m10.py"}])
    print(eval(*given("m10.py", "eval")))
    try:
        exec(*())
    except TypeError as error:
        print(error)
    names = {"__file__": "m11.py"}
    exec(*(TEXT, names))
    print(names["b"], max(*[1, 2], key=int))


def by_free_variable():
    go = exec

    def inner():
        go(given("m12.py")[0], {"__file__": "m12.py"})

    inner()


class Holder:
    def __init__(self):
        self.execute = exec

    def go(self):
        self.execute(given("m13.py")[0], {"__file__": "m13.py"})


def by_choice():
    for taker in (exec, eval):
        taker(given("m14.py")[0], {"__file__": "m14.py"})
    (exec if TEXT else eval)(given("m14.py")[0], {"__file__": "m14.py"})


def by_caller():
    exec("def f(a: int): return a\nprint(f.__annotations__)")
    exec(*("def g(a: int): return a\nprint(g.__annotations__, __name__ == NAME)",))


NAME = __name__


def by_library():
    code.InteractiveInterpreter({"__file__": "m15.py"}).runcode(given("m15.py")[0])
    types.LambdaType(*given("m16.py"))()


by_global_names()
by_local_names()
by_parameter(exec)
by_attribute()
by_string()
by_star()
by_free_variable()
Holder().go()
by_choice()
by_caller()
by_library()
