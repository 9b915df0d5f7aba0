def key(n):
    if n == 3:
        raise ValueError(n)
    return -n


print(sorted([1, 2], key=key))
try:
    sorted([1, 2, 3, 4], key=key)
except ValueError as error:
    print(error)
