code = compile("x = 1\ny = x / 0\nz = 2\n", "raises.py", "exec")
namespace = {"__file__": "raises.py"}
try:
    exec(code, namespace)
except ZeroDivisionError as error:
    print(error.__traceback__.tb_next.tb_lineno, "z" in namespace)
try:
    exec("this is not Python", namespace)
except SyntaxError:
    print("SyntaxError")
