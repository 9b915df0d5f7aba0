order = []
for n in range(4):
    try:
        order.append(n)
        if n == 2:
            break
    finally:
        order.append("finally")
else:
    order.append("else")
print(order)
