from names import *
from all_names import *

print(a, f(), _visible)
try:
    hidden
except NameError:
    print('hidden')
