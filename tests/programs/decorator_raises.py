def refuse(function):
    raise TypeError(function.__name__)


try:
    @refuse
    def f():
        return 1
except TypeError as error:
    print(error)
print("f" in globals())
