"""The limit of time: which timer is set, and what is as it was afterwards."""

import threading
from types import SimpleNamespace

import pytest

from tinyattn.learn import limiting
from tinyattn.learn.limiting import SECONDS, TookTooLong, time_limit


@pytest.fixture
def calls(monkeypatch):
    """What is called of the module signal, in whose place another one stands."""
    called = []

    def handle(number, handler):
        called.append((number, handler))
        return "before"

    def timer(*args):
        called.append(args)

    module = SimpleNamespace(SIGALRM=14, ITIMER_REAL=0, signal=handle, setitimer=timer)
    monkeypatch.setattr(limiting, "signal", module)
    return called


def test_the_timer_is_set_and_what_was_there_comes_back(calls):
    with time_limit(0.25):
        (number, stop), timer = calls
        assert (number, timer) == (14, (0, 0.25))
        with pytest.raises(TookTooLong, match=r"^0\.25 s are over$"):
            stop(14, None)
    assert calls[2:] == [(0, 0), (14, "before")]


def test_the_timer_ends_with_an_error_too(calls):
    with pytest.raises(ZeroDivisionError), time_limit():
        1 / 0  # noqa: B018
    assert calls[1] == (0, SECONDS)
    assert calls[2:] == [(0, 0), (14, "before")]


def test_another_thread_has_no_timer(calls):
    ran = []

    def work():
        with time_limit(0.25):
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (ran, calls) == ([True], [])


def test_a_system_without_timers_has_no_limit(calls, monkeypatch):
    monkeypatch.delattr(limiting.signal, "setitimer")
    with time_limit(0.25):
        pass
    assert calls == []
