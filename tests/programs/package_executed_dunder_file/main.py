import os

folder = os.path.dirname(__file__)
path = os.path.join(folder, 'script.txt')
with open(path) as stream:
    source = stream.read()
exec(compile(source, path, 'exec'), {'__file__': path, '__name__': 'script'})
exec(compile(source, path, 'exec'), {'__name__': 'unnamed'})
