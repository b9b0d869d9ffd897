"""Ctrl-C: it takes effect when a kernel ends, and none that the examples call keeps it waiting."""

import inspect
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from translator.data import prepare
from translator.model import loss_of
from translator.options import train_options

import tinyattn as ta
from tinyattn.kernels import Backend
from tinyattn.text import batches

LONGEST = 0.5  # seconds of a kernel call


@contextmanager
def timed_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, float]]:
    """The processor seconds of the calling thread in the longest call of every kernel."""
    longest: dict[str, float] = {}

    def timed(name: str, kernel: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            began = time.thread_time()
            out = kernel(*args, **options)
            longest[name] = max(longest.get(name, 0.0), time.thread_time() - began)
            return out

        return call

    with monkeypatch.context() as patch:
        for name, kernel in inspect.getmembers(Backend, inspect.isfunction):
            if name[0] != "_":
                patch.setattr(Backend, name, timed(name, kernel))
        yield longest


@pytest.mark.parametrize("kind", ["rnn", "transformer"])
def test_no_kernel_call_of_a_training_step_lasts_long(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest sentences of the built-in corpus, in the example's own sizes."""
    args = train_options("--model", kind, "--pairs", "4000", "--valid", "1", "--test", "64")
    model, data = prepare(args)
    optimizer = ta.optim.Adam(model.parameters(), lr=args.lr)
    *_, longest_batch = batches(data.training, args.batch)
    with timed_kernels(monkeypatch) as longest:
        loss_of(model, longest_batch).backward()
        optimizer.step()
        model.translate([source for source, _ in data.test])
    assert {"matmul", "cross_entropy"} <= longest.keys()
    assert {name: s for name, s in longest.items() if s > LONGEST} == {}


@pytest.mark.skipif(os.name == "nt", reason="needs an interval timer")
def test_ctrl_c_takes_effect_when_a_kernel_ends() -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    a = ta.randn(600, 600, dtype=ta.float64)
    right, delay, ends = (a @ a).numpy(), 0.02, []
    began = time.monotonic()

    def work() -> None:
        while time.monotonic() < began + 10:
            a @ a
            ends.append(time.monotonic())

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    late = [end for end in ends if end > began + 2 * delay]
    assert len(late) <= 1  # the timer may be late, too
    np.testing.assert_array_equal((a @ a).numpy(), right)
