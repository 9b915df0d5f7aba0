order = []  # 1
for n in range(4):  # 3
    try:  # 3
        order.append(n)  # 3
        if n == 2:  # 3
            break  # 1
    finally:
        order.append("finally")  # 3
else:
    order.append("else")
print(order)  # 1
