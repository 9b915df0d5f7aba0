import importlib.resources
import pkgutil

import box

print(sorted(module.name for module in pkgutil.iter_modules(box.__path__)))
print(importlib.resources.files('box').joinpath('data.txt').read_text().strip())
