import sys

for n in range(2):
    import module

    print(module.f(n))
    del sys.modules['module'], module
