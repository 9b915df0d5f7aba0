def f():
    return 'real'
