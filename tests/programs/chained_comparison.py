def n(value):  # 1
    calls.append(value)  # 10
    return value  # 10


calls = []  # 1
print(1 < n(2) < 3, 1 < n(5) < n(3), 3 < n(1) < n(9), n(1) == n(1) == n(1))  # 1
print(calls)  # 1
if 0 < n(1) < n(2) < 3:  # 1
    print("rising")  # 1
if not 0 < n(5) < 3:  # 1
    print("outside")  # 1
