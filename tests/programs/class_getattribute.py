class Watched:
    def __init__(self):
        self.value = 3

    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        return found * 2 if name == "value" else found


watched = Watched()
print([watched.value for _ in range(3)])
