import ast

code = compile("1 + 1", "single.py", "single")
exec(code, {"__file__": "single.py"})
tree = ast.parse("def f(n):\n    return n * 2\nprint(f(4))\n")
exec(compile(tree, "tree.py", "exec"), {"__file__": "tree.py"})


class Doubler(ast.NodeTransformer):
    def visit_Constant(self, node):
        return ast.copy_location(ast.Constant(node.value * 2), node)


tree = Doubler().visit(ast.parse("print(1 + 2)"))
exec(compile(tree, "doubled.py", "exec"))
