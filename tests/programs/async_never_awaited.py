async def f():
    print("never")


f().close()
c = f()
try:
    c.throw(ValueError("early"))
except ValueError as error:
    print(error)
try:
    c.send(None)
except RuntimeError as error:
    print(error)
