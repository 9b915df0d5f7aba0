def f(a):
    return a


for arguments in ((), (1,), (1, 2)):
    try:
        print(f(*arguments))
    except TypeError as error:
        print("TypeError")
