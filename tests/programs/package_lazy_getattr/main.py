import lazy
import lazy.eager

print(lazy.heavy.compute(), lazy.eager.x)
try:
    lazy.nothing
except AttributeError as error:
    print(error)
print(lazy.heavy.compute())
