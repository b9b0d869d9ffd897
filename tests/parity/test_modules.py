"""Every module against torch with the same weights: keys, text, results, all gradients, errors."""

import warnings

import numpy as np
import pytest

pytest.importorskip("torch", reason="parity with torch: torch is not installed")

import torch

import tinyattn as ta

from .draw import Draw
from .harness import CASES, COUNTS, Call, Entry, Mismatch, compare, mismatches, seeded
from .modules import TABLE, Built


def build(lib, name, call):
    """In float64, whatever `layers` stand among its arguments."""
    make = lambda v: (  # noqa: E731
        build(lib, v.name, v.call)
        if isinstance(v, Built)
        else lib.tensor(v)
        if isinstance(v, np.ndarray)
        else v
    )
    args, options = map(make, call.args), {k: make(v) for k, v in call.options.items()}
    return getattr(lib.nn, name)(*args, **options).to(lib.float64)


def pair(name, call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice
        ours, theirs = build(ta, name, call), build(torch, name, call)
    # the text of attention tells more than PyTorch's
    if "MultiheadAttention" not in repr(ours) and repr(ours) != repr(theirs):
        raise Mismatch("its text", repr(ours), repr(theirs))
    weights = ours.state_dict()
    if list(weights) != list(theirs.state_dict()):
        raise Mismatch("state_dict", list(weights), list(theirs.state_dict()))
    rng = seeded(name)
    for key, value in weights.items():  # biases start at 0, which would hide where they go
        weights[key] = ta.tensor(rng.standard_normal(value.shape) * 0.5, dtype=ta.float64)
    ours.load_state_dict(weights)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return {ta: ours, torch: theirs}


def differences(name):
    layer, found = TABLE[name], []
    for i in range(layer.cases * CASES // 40):
        made, call = layer.draw(Draw(seeded(name, i), i))
        try:
            both = pair(name, made)
            for module in both.values():
                module.train(layer.training)

            def form(lib, *args, both=both, **options):
                return both[lib](*args, **options)

            entry = Entry(None, tolerance=layer.tolerance)
            compare(f"nn.{name}({made})", form, entry, call, [name, i])
            for (key, a), b in zip(
                both[ta].named_parameters(), both[torch].parameters(), strict=True
            ):
                grads = [None if p.grad is None else p.grad.numpy() for p in (a, b)]
                if any(g is None for g in grads) != all(g is None for g in grads):
                    raise Mismatch(f"gradient of {key}", *grads)
                if grads[0] is not None and not np.allclose(*grads, 1e-8, 1e-8, equal_nan=True):
                    raise Mismatch(f"gradient of {key}", *(g.tolist() for g in grads))
        except Mismatch as mismatch:
            mismatch.where = mismatch.where or f"nn.{name}({made})({call})"
            found.append(mismatch)
        COUNTS[f"nn.{name}"] += 1
    wrong = Entry(lambda d: Call(), layer.wrong, {"": lambda lib: None}, cases=0)
    return found + mismatches(name, wrong, f"nn.{name}")


@pytest.mark.parametrize("name", TABLE)
def test_it_does_what_torchs_does(name):
    found = differences(name)
    assert not found, f"{len(found)} differences, among them\n" + "\n".join(map(str, found[:4]))
