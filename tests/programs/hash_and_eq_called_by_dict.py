class Key:
    def __init__(self, name):
        self.name = name

    def __hash__(self):
        calls.append("hash " + self.name)
        return 1

    def __eq__(self, other):
        calls.append("eq " + self.name)
        return self.name == other.name


calls = []
table = {Key("a"): 1}
table[Key("b")] = 2
print(table[Key("b")], Key("c") in table)
print(calls)
