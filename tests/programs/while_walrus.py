values = iter([3, 2, 1, 0, 9])  # 1
while value := next(values):  # 4
    print(value)  # 3
while (left := next(values)) < 5:  # 1
    pass
print(left)  # 1
