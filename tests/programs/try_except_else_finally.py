def f(action):
    steps = []
    try:
        steps.append("try")
        action()
    except ValueError:
        steps.append("ValueError")
    except (KeyError, TypeError):
        steps.append("KeyError or TypeError")
    else:
        steps.append("else")
    finally:
        steps.append("finally")
    return steps


print(f(lambda: int("x")))
print(f(lambda: {}[1]))
print(f(lambda: len(1)))
print(f(lambda: None))
try:
    f(lambda: 1 / 0)
except ZeroDivisionError:
    print("passed")
