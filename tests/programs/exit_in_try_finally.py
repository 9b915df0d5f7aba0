import sys  # 1


def f():  # 1
    try:  # 1
        print("leaving")  # 1
        sys.exit(3)  # 1
    finally:
        print("finally")  # 1
    print("unreached")


f()  # 1
