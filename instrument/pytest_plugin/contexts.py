"""Begins a context for each phase of a test, for fixtures of a wider scope, and for code outside of tests.

The hooks of pytest come in. Names of contexts go to the recorder (`Recorder.begin_context`).

A phase begins before any other hook of it, and lasts until the next phase begins. So hooks that report on a phase are
part of it. A fixture of a class, module, package or session is used by many tests, and its code belongs to none of
them. It has contexts of its own, for its setup and its teardown.

Problem: an exception passes through hooks of the kind `wrapper`, so their frames are in tracebacks of tests and
fixtures. Those of the older kind, `hookwrapper`, add frames of pluggy, which `--tb=native` shows.
Solution: these frames are taken out of the traceback before pytest, or another plugin, gets it for its report.
"""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

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

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin the setup of *item*."""
        self._switch(f"{item.nodeid}|setup")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin the call of *item*."""
        self._switch(f"{item.nodeid}|call")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin the teardown of *item*."""
        self._switch(f"{item.nodeid}|teardown")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Generator[None, object, object]:
        """Begin the setup of a fixture that many tests share, and go on with the test afterwards."""
        if fixturedef.scope == "function":
            return (yield)
        name = _name_of(fixturedef)
        before = self._switch(name)
        try:
            return (yield)
        finally:
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

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        """Take the frames of these hooks out of the exception of *call*."""
        if call.excinfo is not None:
            _take_own_frames_out(call.excinfo.value)

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Take the frames of these hooks out of an exception that ends the run."""
        _take_own_frames_out(excinfo.value)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None, object, None]:
        """Begin the end of the run."""
        self._switch(END)
        yield


def _name_of(fixturedef: pytest.FixtureDef[object]) -> str:
    """Return the name of the fixture of *fixturedef* for users."""
    place = f" of {fixturedef.baseid}" if fixturedef.baseid else ""
    return f"{fixturedef.scope} fixture {fixturedef.argname}{place}"


def _take_own_frames_out(error: BaseException) -> None:
    """Take the frames of this module, and those of pluggy that they caused, out of the traceback of *error*.

    The same is done for its causes, and for the exceptions in a group.
    """
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        head = _without_own_frames(each.__traceback__)
        if head is not each.__traceback__:
            each.__traceback__ = head
        pending += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            pending += each.exceptions


def _without_own_frames(head: TracebackType | None) -> TracebackType | None:
    """Take the entries of this module out of the traceback that *head* begins; return the new head.

    pluggy throws the exception into a generator of this module, and raises it again afterwards. So a frame of pluggy
    has one more entry, before that of the generator. A StopIteration is no such case.
    """
    entries: list[TracebackType] = []
    entry = head
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    kept: list[TracebackType] = []
    for each in entries:
        if each.tb_frame.f_globals is not globals():
            kept.append(each)
        elif kept and any(earlier.tb_frame is kept[-1].tb_frame for earlier in kept[:-1]):
            kept.pop()
    if len(kept) == len(entries):
        return head
    for each, following in zip(kept, [*kept[1:], None]):
        if each.tb_next is not following:
            each.tb_next = following
    return kept[0] if kept else None
