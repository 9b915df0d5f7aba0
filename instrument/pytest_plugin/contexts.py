"""Begins a context for each phase of a test, for fixtures of a wider scope, and for code outside of tests.

The hooks of pytest come in. Names of contexts go to the recorder (`Recorder.begin_context`).

A phase begins before any other hook of it, and lasts until the next phase begins. So hooks that report on a phase are
part of it. A fixture of a class, module, package or session is used by many tests, and its code belongs to none of
them. It has contexts of its own, for its setup and its teardown.

Problem: an exception passes through `wrapper` hooks, so their frames are in tracebacks of tests and fixtures.
Solution: `hookwrapper` hooks, the older kind. There pluggy keeps the exception, and pytest leaves out frames of pluggy.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from instrument.record.recorder import Recorder

START, COLLECTION, END = "start of the run", "collection", "end of the run"


class ContextHooks:
    """The hooks of a run whose work *recorder* counts apart for each context."""

    def __init__(self, recorder: Recorder) -> None:
        self._begin = recorder.begin_context
        self._name = START
        #: The context before the teardown of a fixture, for each fixture that is being torn down.
        self._before_teardown: dict[pytest.FixtureDef[object], str] = {}
        self._switch(START)

    def _switch(self, name: str) -> str:
        """Begin the context *name*; return the name of the one before."""
        before, self._name = self._name, name
        self._begin(name)
        return before

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, None]:
        """Begin the collection."""
        self._switch(COLLECTION)
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, None]:
        """Begin the setup of *item*."""
        self._switch(f"{item.nodeid}|setup")
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, None]:
        """Begin the call of *item*."""
        self._switch(f"{item.nodeid}|call")
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, None]:
        """Begin the teardown of *item*."""
        self._switch(f"{item.nodeid}|teardown")
        yield

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, None]:
        """Begin the setup of a fixture that many tests share, and go on with the test afterwards."""
        if fixturedef.scope == "function":
            yield
            return
        name = _name_of(fixturedef)
        before = self._switch(name)
        yield
        # Finalizers run in reverse order: this one before those of the fixture itself.
        fixturedef.addfinalizer(lambda: self._begin_teardown(fixturedef, name))
        self._switch(before)

    def _begin_teardown(self, fixturedef: pytest.FixtureDef[object], name: str) -> None:
        self._before_teardown[fixturedef] = self._switch(f"teardown of {name}")

    @pytest.hookimpl(trylast=True)
    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """Go on with the test after the teardown of a fixture that many tests share."""
        before = self._before_teardown.pop(fixturedef, None)
        if before is not None:
            self._switch(before)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, None]:
        """Begin the end of the run."""
        self._switch(END)
        yield


def _name_of(fixturedef: pytest.FixtureDef[object]) -> str:
    """Return the name of the fixture of *fixturedef* for users."""
    place = f" of {fixturedef.baseid}" if fixturedef.baseid else ""
    return f"{fixturedef.scope} fixture {fixturedef.argname}{place}"
