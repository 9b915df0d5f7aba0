calls = 0


def greet(name):
    global calls
    calls += 1
    return f'hello {name}'
