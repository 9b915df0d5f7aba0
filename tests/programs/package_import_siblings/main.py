import helper
from other import double, NAMES

print(helper.greet('you'), double(4), NAMES)
import helper

print(helper.calls)
