from . import rate
from .. import prices


def where():
    return __name__, rate, prices.price(5)
