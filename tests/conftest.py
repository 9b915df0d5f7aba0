"""Hypothesis profiles, and what keeps the tests of one module from what those of another have left behind.

The profile "ci" is small and the same every time; HYPOTHESIS_PROFILE=long looks for something new.
"""

import os
import signal
import sys
import threading

import pytest
from hypothesis import HealthCheck, Phase, settings

# The phase that explains a failure would set a trace function of its own, in the middle of programs that are traced.
PHASES = [phase for phase in Phase if phase is not Phase.explain]

settings.register_profile(
    "ci",
    max_examples=150,
    deadline=None,
    derandomize=True,
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", settings.get_profile("ci"), max_examples=10_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# A shell that starts the tests in the background lets them ignore SIGINT, and nohup SIGHUP, and with them what they
# start. A handler that does nothing is not handed on.
for _number in {signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)}:
    if signal.getsignal(_number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(_number, lambda *_: None)


@pytest.fixture(scope="module", autouse=True)
def _functions_as_they_were():
    """Functions whose code was exchanged stay so; the next module's tests may be about the code of their own."""
    yield
    sessions = sys.modules.get("instrument.session.session")
    if sessions is not None:
        from instrument.session.existing_functions import restore_all_functions

        for session in sessions.sessions():
            if session.groups:
                restore_all_functions(session)
