def f(n):
    import late
    from late import add

    return add(n, late.STEP)


print(f(1), f(2))
