import ast
import collections.abc


def below(cls):
    for subclass in cls.__subclasses__():
        yield subclass.__name__
        yield from below(subclass)


for cls in (ast.AST, collections.abc.Sized, collections.abc.Callable):
    names = sorted(below(cls))
    print(cls.__name__, len(names), len(set(names)))
