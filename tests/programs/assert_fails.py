def check(n):
    assert n > 0, f"{n} is not positive"
    return n


print(check(1))
try:
    check(-1)
except AssertionError as error:
    print(error)
