from shop import total
from shop.deep import inner
import shop.deep.inner as again

print(total([1, 2, 3]), inner.where(), again is inner)
import shop

print(sorted(name for name in vars(shop) if not name.startswith('_')))
