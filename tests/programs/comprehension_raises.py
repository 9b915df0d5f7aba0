def f(items):
    try:
        return [10 // item for item in items]
    except ZeroDivisionError:
        return None


print(f([1, 2, 5]), f([1, 0, 5]), f([]))
