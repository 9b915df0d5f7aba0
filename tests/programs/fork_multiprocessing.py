import multiprocessing


def square(n):
    return n * n


def send(connection, n):
    connection.send(square(n))
    connection.close()


context = multiprocessing.get_context("fork")
here, there = context.Pipe()
process = context.Process(target=send, args=(there, 7))
process.start()
there.close()
print(here.recv())
process.join()
print(process.exitcode)
