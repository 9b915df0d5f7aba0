"""The calls and stores that the code of a unit may make."""

import pytest

from instrument.analysis.affected.units import Units


def effects(body, head="def f(a):"):
    """Return the effects of the function `f` with this *body* and *head*."""
    [unit] = Units(f"{head}\n    {body}\n".encode()).by_name["f"]
    return unit.effects


@pytest.mark.parametrize(
    ("body", "stores", "in_roots"),
    [
        ("global x; x = 1", True, True),
        ("a.b = 1", True, False),
        ("G.b = 1", True, True),
        ("a[0] = 1", True, False),
        ("G[0] = 1", True, True),
        ("del G[0]", True, True),
        ("a.append(1)", True, False),
        ("G.all.append(1)", True, True),
        ("b = G; b.append(1)", True, True),
        ("b = G.get(1); b.append(1)", True, True),
        ("setattr(a, 'b', 1)", True, False),
        ("setattr(G, 'b', 1)", True, True),
        ("next(G)", True, True),
        ("print(a)", False, False),
        ("print(a, file=G)", True, True),
        ("a.write_text('x')", True, True),
        ("globals()['x'] = a", True, True),
        ("a += [1]", True, False),
        ("a += 1", False, False),
        ("c = []; c.append(1); c[0] = 2; return c", False, False),
        ("c = []; c = a; c.append(1)", True, False),
        ("return a.b + a[0]", False, False),
    ],
)
def test_stores(body, stores, in_roots):
    """A store in a container that the function itself has made ends with the call; a global one outlives it."""
    found = effects(body)
    assert (found.stores, found.stores_in_roots) == (stores, in_roots)


@pytest.mark.parametrize("head", ["def f(a={}):", "def f(*, a=dict()):"])
def test_a_mutable_default_is_a_root(head):
    """It outlives each call."""
    assert effects("a[1] = 2", head).stores_in_roots
    assert not effects("a[1] = 2").stores_in_roots


@pytest.mark.parametrize(
    ("body", "is_indirect"),
    [
        ("a()", True),
        ("b = G; b()", True),
        ("G[0]()", True),
        ("(a or G)()", True),
        ("G()", False),
        ("a.b()", False),
        ("def b(): pass\n    b()", False),
    ],
)
def test_indirect_calls(body, is_indirect):
    """The callee is no global name, and no attribute by its name."""
    assert effects(body).calls_indirectly is is_indirect


@pytest.mark.parametrize(
    ("body", "beginnings"),
    [
        ("getattr(self, 'b')()", set()),
        ("getattr(self, 'visit_' + a)()", {("visit_", True)}),
        ("getattr(G, f'visit_{a}')()", {("visit_", False)}),
        ("getattr(a, 'on_%s' % a)()", {("on_", False)}),
        ("getattr(a, 'on_{}'.format(a).lower())()", {("on_", False)}),
        ("b = 'do_' + a; \n    getattr(self, b)()", {("do_", True)}),
        ("getattr(self, a)()", {("", True)}),
        ("getattr(str, a)()", set()),
        ("globals()[a]()", {("", False)}),
    ],
)
def test_computed_names(body, beginnings):
    """The constant beginning of a name is known, and whether it is a method of the own object."""
    assert effects(body).beginnings == beginnings


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("always(); a and sometimes()", {"sometimes"}),
        ("if always(): sometimes()", {"sometimes"}),
        ("if a: return\n    sometimes()", {"sometimes"}),
        ("for b in always(): sometimes(b)", {"sometimes"}),
        ("try: always()\n    except E: sometimes()", {"sometimes"}),
        ("return always() if always() else sometimes()", {"always", "sometimes"}),
        ("return [sometimes(b) for b in always()]", {"sometimes"}),
        ("always(); yield", {"always"}),
    ],
)
def test_calls_that_may_be_skipped(body, names):
    """The condition of a branch is always evaluated."""
    assert effects(body).skippable & {"always", "sometimes"} == names


@pytest.mark.parametrize(
    ("body", "has_lambda"),
    [
        ("return sorted(a, key=lambda b: b[0])", False),
        ("return ', '.join(str(b) for b in a)", False),
        ("return lambda: a", True),
        ("G.append(b for b in a)", True),
        ("return map(lambda b: b, a)", True),
    ],
)
def test_code_without_a_name(body, has_lambda):
    """It may run after its call, unless a builtin uses it up."""
    assert effects(body).has_lambda is has_lambda
