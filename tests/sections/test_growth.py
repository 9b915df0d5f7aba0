"""`assert_growth` passes and fails by exact counts of real programs, and names all that is impossible."""

from recorded import Tree
from sorting_shop import SHOP

LAWS = """\
import instrument, shop
from instrument.analysis.growth.laws import LAWS
def check(law, function, run, **options):
    growth = instrument.assert_growth(function, law, run, **options)
    assert growth.law == law and growth.certainty in ("sure", "likely"), (function, law, str(growth))
    position = LAWS.index(law)
    if position:
        try:
            instrument.assert_growth(function, LAWS[position - 1], run, **options)
        except AssertionError as error:
            assert f"{function} grows faster than {LAWS[position - 1]}: " in str(error), error
            assert "size  " in str(error), error
        else:
            raise SystemExit(f"{function} passed {LAWS[position - 1]}")
def fill(n):
    basket = shop.Basket()
    for item in range(n):
        basket.add(item)
    return basket
check("n log n", "shop.merge", shop.merge_sort, prepare=shop.make)
check("n log n", "shop", shop.merge_sort, prepare=shop.make)
check("n", "shop.merge_sort", shop.merge_sort, prepare=shop.make, unit="calls")
check("n²", "shop.bubble", shop.bubble, prepare=shop.make)
check("n²", "shop.bubble", shop.bubble, prepare=shop.make, unit="executions")
check("n", "shop.make", shop.make)
check("2^n", "shop.fib", shop.fib)
check("log n", "shop.search", lambda xs: shop.search(xs, -1), prepare=lambda n: list(range(n)))
check("1", "shop.look_up", shop.look_up, prepare=lambda n: dict.fromkeys(range(n)))
check("n", "shop.Basket.add", fill)
check("n", "shop.Basket.prices", shop.Basket.prices, prepare=fill)
check("1", "shop.Basket.prices", lambda basket: basket.prices(), prepare=fill, unit="calls")
check("n", shop.__file__ + ":make", shop.make, sizes=[10, 20, 40, 80, 160])
shop.cached_fib.cache_clear()
check("1", "shop.cached_fib", lambda n: (shop.cached_fib.cache_clear(), shop.cached_fib(30)), unit="calls")
print("all passed")
"""


def test_real_programs_have_their_laws(tmp_path):
    """The law of each passes, and the next slower one fails. The work of `prepare` is not counted."""
    tree = Tree(tmp_path)
    (tmp_path / "shop.py").write_text(SHOP)
    assert "all passed" in tree.run(LAWS, INSTRUMENT="0")[0]


ERRORS = """\
import instrument, shop
from instrument.errors import InstrumentError
def message(*arguments, **options):
    try:
        instrument.assert_growth(*arguments, **options)
    except (InstrumentError, AssertionError) as error:
        return f"{type(error).__name__}: {error}".split("\\n")[0]
print(message("shop.make", "n^4", shop.make))
print(message("shop.mak", "n", shop.make))
print(message("shop.never", "n", shop.make))
print(message("shop.make", "n", shop.make, unit="seconds"))
print(message("shop.make", "n", shop.make, sizes=[1, 2]))
print(message("shop.make", "n", shop.make, sizes=[1, 2.5, 3]))
print(message("shop.make", "n", shop.make, sizes=[0, 1, 2]))
print(message("shop.make", "n", lambda n: shop.make(n + n % 3), sizes=[100, 110, 120, 130]))
"""


def test_impossible_arguments_are_named(tmp_path):
    """A function that never runs is no success, and neither are sizes that tell nothing."""
    tree = Tree(tmp_path)
    (tmp_path / "shop.py").write_text(SHOP)
    lines = tree.run(ERRORS, INSTRUMENT="0")[0].splitlines()
    assert lines[:7] == [
        "InstrumentError: 'n^4' is no growth law; name one of '1', 'log n', 'n', 'n log n', 'n²', 'n³', '2^n'",
        "InstrumentError: no counted function or module is called 'shop.mak'; did you mean 'shop.make' or 'shop.merge' or 'shop.fails'?",
        "InstrumentError: shop.never did not run for any of the sizes 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096",
        "InstrumentError: 'seconds' is no unit of work; name one of 'instructions', 'executions', 'calls'",
        "InstrumentError: a growth law needs at least 3 sizes, and there are 2: 1, 2",
        "InstrumentError: 2.5 is no size; sizes are whole numbers from 1 on",
        "InstrumentError: 0 is no size; sizes are whole numbers from 1 on",
    ]
    assert lines[7].startswith("AssertionError: the sizes do not suffice to tell whether shop.make grows faster than n: n (unsure: ")
