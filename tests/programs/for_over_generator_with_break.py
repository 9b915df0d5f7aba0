def numbers():
    n = 0
    try:
        while True:
            yield n
            n += 1
    finally:
        print("closed", n)


for n in numbers():
    if n == 3:
        break
print(n)
