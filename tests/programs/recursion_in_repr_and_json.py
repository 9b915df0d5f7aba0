import json


class Node:
    def __init__(self, *children):
        self.children = children

    def __repr__(self):
        return f"Node({', '.join(map(repr, self.children))})"

    def plain(self):
        return [child.plain() for child in self.children]


tree = Node(Node(), Node(Node()))
print(tree, json.dumps(tree.plain()))
print(json.dumps(tree, default=lambda node: node.children))
print(json.loads('{"a": [1, 2]}', object_hook=lambda table: sorted(table)))
