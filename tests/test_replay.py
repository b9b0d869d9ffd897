"""`replay`: a recorded step computes what the step computes, to the bit; what can't be recorded
says so."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import functional as F
from tinyattn.optim.optimizer import Optimizer

pytestmark = pytest.mark.skipif(
    "native" not in ta.available_backends(), reason="recordings are of the native kernels"
)

Step = Callable[..., Any]


@pytest.fixture(autouse=True)
def native() -> Iterator[None]:
    with ta.use_backend("native"):
        yield


def trained(
    build: Callable[[], nn.Module],
    loss_of: Callable[[Any, Any], Any],
    batches: list[Any],
    wrap: Callable[[Step], Step],
    optimizer: Callable[[Any], Optimizer] = lambda p: ta.optim.Adam(p, lr=1e-2),
    schedule: Callable[[Optimizer], Any] | None = None,
    between: Callable[[int, nn.Module], None] = lambda i, model: None,
) -> list[bytes]:
    """Everything that a training leaves behind, as bytes: losses, weights, gradients, states of
    the optimiser, the next random number."""
    ta.manual_seed(3)
    model = build()
    optim = optimizer(model.parameters())
    rate = schedule(optim) if schedule else None

    def step(batch: Any) -> Any:
        optim.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optim.step()
        return loss

    run = wrap(step)
    found = []
    for i, batch in enumerate(batches):
        between(i, model)
        found.append(run(batch).detach().numpy().tobytes())
        if rate:
            rate.step()
    found += [p.detach().numpy().tobytes() for p in model.parameters()]
    found += [p.grad.numpy().tobytes() for p in model.parameters() if p.grad is not None]
    for state in optim.state_dict()["state"].values():
        found += [value.numpy().tobytes() for value in state.values()]
    return [*found, ta.rand(3).numpy().tobytes()]


def assert_same(*args: Any, **options: Any) -> Any:
    """That training with replays leaves behind what training without them does; gives the
    recordings."""
    made: list[Any] = []

    def wrap(step: Step) -> Step:
        made.append(ta.replay(step))
        return made[0]

    plain = trained(*args, wrap=lambda step: step, **options)
    assert trained(*args, wrap=wrap, **options) == plain
    return made[0].recordings


def rows(count: int, B: int = 16) -> list[Any]:
    rng = np.random.default_rng(0)
    return [
        (ta.tensor(rng.standard_normal((B, 20)).astype("f4")), ta.tensor(rng.integers(0, 10, B)))
        for _ in range(count)
    ]


def perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def classes(model: Any, batch: Any) -> Any:
    return F.cross_entropy(model(batch[0]), batch[1])


def test_a_replayed_step_computes_what_the_step_computes() -> None:
    (recording,) = assert_same(perceptron, classes, rows(30)).values()
    assert recording.plan is not None
