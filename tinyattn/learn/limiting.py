"""A limit of time for an answer that runs in this process."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

SECONDS = 20.0


class TookTooLong(KeyboardInterrupt):
    """The time is over. An answer that catches every Exception does not catch this one."""


@contextlib.contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TookTooLong in what runs inside after `seconds`. Only the main thread can be stopped,
    and only on systems with timers that send a signal: not on Windows."""
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TookTooLong(f"{seconds:g} s are over")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
