lazy = (1 // n for n in (1, 0, 2))
print(next(lazy))
try:
    next(lazy)
except ZeroDivisionError:
    print("zero")
print(list(lazy))
