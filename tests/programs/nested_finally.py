order = []  # 1


def f(n):  # 1
    try:  # 2
        try:  # 2
            order.append("body")  # 2
            if n:  # 2
                raise ValueError(n)  # 1
        finally:
            order.append("inner")  # 2
    finally:
        order.append("outer")  # 2


f(0)  # 1
try:  # 1
    f(1)  # 1
except ValueError:  # 1
    order.append("caught")  # 1
print(order)  # 1
