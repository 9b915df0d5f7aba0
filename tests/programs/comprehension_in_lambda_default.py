f = lambda items=[n for n in range(3)]: [n + 1 for n in items]
print(f(), f([5]))
