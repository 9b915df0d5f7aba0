def check(n):  # 1
    assert n > 0, f"{n} is not positive"  # 2
    return n  # 1


print(check(1))  # 1
try:  # 1
    check(-1)  # 1
except AssertionError as error:  # 1
    print(error)  # 1
