code = compile("total = 0\nfor n in range(3):\n    total += n\n", "twice.py", "exec")
for _ in range(2):
    namespace = {"__file__": "twice.py"}
    exec(code, namespace)
    print(namespace["total"])
exec(code, {})
