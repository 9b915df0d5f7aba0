"""A loop that ends behind a `try` with nothing in it: no way leads to its handlers, which are there all the same, and
jump back to where the loop is left.
"""


def bound(items):
    for item in items:
        try:
            pass
        except ValueError as error:
            pass
        break
    if not items:
        return None
    return item


def named(items):
    for item in items:
        try:
            0
        except Exception as error:
            None
        finally:
            break
            print("never")
    return len(items)


def twice(items):
    for item in items:
        try:
            pass
        except KeyError as error:
            pass
        except ValueError as error:
            pass
        for other in item:
            try:
                pass
            except ValueError as error:
                continue
            break
    return items


class Body:
    for name in "abc":
        try:
            pass
        except ValueError as error:
            pass
        break

    def method(self):
        return self.name


for items in ([], [1], [1, 2, 3]):
    print(bound(items), named(items))
print(twice([[], [1], [1, 2]]), Body().method())
try:
    bound(0)
except TypeError as error:
    print(error)
