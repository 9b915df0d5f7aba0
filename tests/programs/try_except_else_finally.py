def f(action):  # 1
    steps = []  # 5
    try:  # 5
        steps.append("try")  # 5
        action()  # 5
    except ValueError:  # 4
        steps.append("ValueError")  # 1
    except (KeyError, TypeError):  # 3
        steps.append("KeyError or TypeError")  # 2
    else:
        steps.append("else")  # 1
    finally:
        steps.append("finally")  # 5
    return steps  # 4


print(f(lambda: int("x")))  # 2
print(f(lambda: {}[1]))  # 2
print(f(lambda: len(1)))  # 2
print(f(lambda: None))  # 2
try:  # 1
    f(lambda: 1 / 0)  # 2
except ZeroDivisionError:  # 1
    print("passed")  # 1
