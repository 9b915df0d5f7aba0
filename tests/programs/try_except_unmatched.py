def f():
    try:
        [][0]
    except KeyError:
        print("not this")
    except ValueError:
        print("nor this")


try:
    f()
except IndexError as error:
    print(error)
