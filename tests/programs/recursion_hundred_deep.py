def depth(n):
    try:
        if n == 0:
            raise ValueError("bottom")
        depth(n - 1)
    finally:
        count.append(n)


count = []
try:
    depth(100)
except ValueError as error:
    print(error, len(count))
