text = (  # 1
    " Some Text "  # 1
    .strip()  # 1
    .lower()  # 1
    .replace("e", "3")  # 1
    .split()  # 1
)
print(text)  # 1


class Query:  # 2
    def __init__(self):  # 1
        self.parts = []  # 1

    def where(self, part):  # 1
        self.parts.append(part)  # 2
        return self  # 2

    def all(self):  # 1
        return self.parts  # 1


print(  # 2
    Query()  # 1
    .where("a")  # 1
    .where(  # 2
        "b"  # 1
    )
    .all()  # 1
)
