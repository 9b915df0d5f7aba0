import contextvars

variable = contextvars.ContextVar("variable", default=0)


def f(n):
    variable.set(variable.get() + n)
    return variable.get()


context = contextvars.copy_context()
print(context.run(f, 1), context.run(f, 2), f(5), variable.get())
