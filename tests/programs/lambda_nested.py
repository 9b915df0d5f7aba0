curry = lambda a: lambda b: lambda c: a + b + c
print(curry(1)(2)(3))
