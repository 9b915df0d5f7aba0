# requires: 3.14
import annotationlib


def f(a: undefined, b: int = 1) -> also_undefined:
    return b


class C:
    x: missing
    y: int = 2


print(f(0), C.y)
print(C.__annotations__ if hasattr(C, "missing") else annotationlib.get_annotations(C, format=annotationlib.Format.STRING))
try:
    f.__annotations__
except NameError as error:
    print(error)
