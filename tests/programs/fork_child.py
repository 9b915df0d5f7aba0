import os


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


before = work(3)
child = os.fork()
if child == 0:
    work(10)
    os._exit(work(2))
_, status = os.waitpid(child, 0)
print(before, os.waitstatus_to_exitcode(status), work(4))
