def f():
    f.calls += 1
    return f.calls


f.calls = 0
f()
print(f(), f.__name__, f.__code__.co_name)
