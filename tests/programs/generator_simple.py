def numbers(n):  # 1
    for i in range(n):  # 9
        yield i  # 7


print(list(numbers(3)))  # 1
print(sum(numbers(4)))  # 1
