def f(action):
    try:
        try:
            return action()
        except (ValueError, IndexError):
            print("value or index")
            raise
    except ValueError:
        return "value"
    except LookupError:
        return "lookup"
    except Exception as error:
        return type(error).__name__


print(f(lambda: int("x")))
print(f(lambda: [][0]))
print(f(lambda: {}[0]))
print(f(lambda: (1).missing))
print(f(lambda: "a" + 1))
print(f(lambda: sorted([1, "a"])))
print(f(lambda: 5))
