import gc


class Node:
    def __init__(self, name):
        self.name = name
        self.self = self

    def __del__(self):
        print("collected", self.name)


gc.collect()
node = Node("a")
del node
print("dropped")
gc.collect()
print("end")
