def sign(n):  # 1
    if n > 0:  # 4
        return 1  # 2
    elif n < 0:  # 2
        return -1  # 1
    else:
        return 0  # 1


print([sign(n) for n in (3, -2, 0, 5)])  # 6, from 3.12: 5
