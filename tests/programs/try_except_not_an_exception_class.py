try:
    try:
        1 / 0
    except 5:
        print("unreached")
except TypeError as error:
    print(type(error).__name__)
