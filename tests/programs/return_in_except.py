def f(text):  # 1
    try:  # 2
        return int(text)  # 2
    except ValueError:  # 1
        return None  # 1
    finally:
        print(text)  # 2


print(f("4"), f("four"))  # 1
