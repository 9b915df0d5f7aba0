try:
    import missing_module
except ImportError as error:
    print(type(error).__name__)
try:
    import broken
except ZeroDivisionError:
    print('broken')
try:
    import unparsable
except SyntaxError:
    print('SyntaxError')
try:
    from whole import nothing
except ImportError:
    print('no such name')
from whole import something

print(something)
try:
    import broken
except ZeroDivisionError:
    print('broken again')
