"""Optimisers against PyTorch's, over 200 steps and with states that change hands."""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import optim

torch = pytest.importorskip("torch", reason="PyTorch is not installed: no comparison with it")

OPTIONS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.02}),
    ("Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "maximize": True}),
    ("AdamW", {"lr": 0.02}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "maximize": True}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.02, "amsgrad": True, "betas": (0.5, 0.9)}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.01, "centered": True, "eps": 1e-3}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 1e-3}),
]
SHAPES = [(3, 4), (5,), (), (0, 2)]


def problem(dtype="float64"):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    ours = [ta.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    return ours, theirs


def advance(ours, theirs, mine, other, steps, seed=1):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        for p, q in zip(ours, theirs, strict=True):
            grad = (rng.standard_normal(p.shape) + p.detach().numpy()).astype(p.dtype)
            if rng.random() < 0.1:
                p.grad = q.grad = None
            else:
                p.grad, q.grad = ta.tensor(grad), torch.tensor(grad)
        mine.step()
        other.step()


def agree(ours, theirs, tolerance):
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(
            p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize(("optimizer", "options"), OPTIONS)
def test_200_steps(backend, optimizer, options):
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        ours, theirs = problem(dtype)
        mine = getattr(optim, optimizer)(ours, **options)
        other = getattr(torch.optim, optimizer)(theirs, **options)
        advance(ours, theirs, mine, other, 200)
        agree(ours, theirs, tolerance)


@pytest.mark.parametrize(("optimizer", "options"), OPTIONS)
def test_a_state_of_pytorchs_is_continued(optimizer, options):
    ours, theirs = problem()
    other = getattr(torch.optim, optimizer)(theirs, **options)
    scratch = getattr(optim, optimizer)(ours, **options)
    advance(ours, theirs, scratch, other, 20)
    mine = getattr(optim, optimizer)(ours, lr=1.0)
    mine.load_state_dict(other.state_dict())
    advance(ours, theirs, mine, other, 20, seed=2)
    agree(ours, theirs, 1e-12)


@pytest.mark.parametrize(("optimizer", "options"), OPTIONS)
def test_pytorch_continues_a_state_of_ours(optimizer, options):
    ours, theirs = problem()
    mine = getattr(optim, optimizer)(ours, **options)
    scratch = getattr(torch.optim, optimizer)(theirs, **options)
    advance(ours, theirs, mine, scratch, 20)
    saved = mine.state_dict()
    state = {
        number: {name: torch.tensor(np.asarray(value)) for name, value in entry.items()}
        for number, entry in saved["state"].items()
    }
    other = getattr(torch.optim, optimizer)(theirs, lr=1.0)
    groups = [
        {**defaults, **group}
        for defaults, group in zip(
            other.state_dict()["param_groups"], saved["param_groups"], strict=True
        )
    ]
    other.load_state_dict({"state": state, "param_groups": groups})
    advance(ours, theirs, mine, other, 20, seed=2)
    agree(ours, theirs, 1e-12)
