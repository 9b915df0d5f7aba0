def f(text):
    try:
        return int(text)
    except ValueError:
        return None
    finally:
        print(text)


print(f("4"), f("four"))
