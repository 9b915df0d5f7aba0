import spread.part
from spread import other

print(spread.part.x, other.y, spread.__file__ if hasattr(spread, '__file__') else None)
