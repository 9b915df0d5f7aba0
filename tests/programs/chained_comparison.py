def n(value):
    calls.append(value)
    return value


calls = []
print(1 < n(2) < 3, 1 < n(5) < n(3), 3 < n(1) < n(9), n(1) == n(1) == n(1))
print(calls)
if 0 < n(1) < n(2) < 3:
    print("rising")
if not 0 < n(5) < 3:
    print("outside")
