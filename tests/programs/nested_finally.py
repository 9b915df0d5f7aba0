order = []


def f(n):
    try:
        try:
            order.append("body")
            if n:
                raise ValueError(n)
        finally:
            order.append("inner")
    finally:
        order.append("outer")


f(0)
try:
    f(1)
except ValueError:
    order.append("caught")
print(order)
