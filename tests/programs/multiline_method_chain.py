text = (
    " Some Text "
    .strip()
    .lower()
    .replace("e", "3")
    .split()
)
print(text)


class Query:
    def __init__(self):
        self.parts = []

    def where(self, part):
        self.parts.append(part)
        return self

    def all(self):
        return self.parts


print(
    Query()
    .where("a")
    .where(
        "b"
    )
    .all()
)
