from . import part

y = part.x + 1
