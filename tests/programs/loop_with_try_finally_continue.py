order = []  # 1
for n in range(4):  # 5
    try:  # 4
        if n % 2:  # 4
            continue  # 2
        order.append(n)  # 2
    finally:
        order.append("finally")  # 4
print(order)  # 1
