order = []
for n in range(4):
    try:
        if n % 2:
            continue
        order.append(n)
    finally:
        order.append("finally")
print(order)
