def numbers():  # 1
    n = 0  # 1
    try:  # 1
        while True:  # 4
            yield n  # 4
            n += 1  # 3
    finally:
        print("closed", n)  # 1


for n in numbers():  # 4
    if n == 3:  # 4
        break  # 1
print(n)  # 1
