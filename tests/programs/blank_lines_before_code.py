


x = 1  # 1


print(x)  # 1
