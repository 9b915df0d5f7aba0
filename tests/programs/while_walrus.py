values = iter([3, 2, 1, 0, 9])
while value := next(values):
    print(value)
while (left := next(values)) < 5:
    pass
print(left)
