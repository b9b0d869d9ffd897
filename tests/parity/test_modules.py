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
    """The module, and the module that may stand among its arguments."""

    def make(value):
        if isinstance(value, Built):
            return build(lib, value.name, value.call)
        return lib.tensor(value) if isinstance(value, np.ndarray) else value

    args, options = map(make, call.args), {k: make(v) for k, v in call.options.items()}
    return getattr(lib.nn, name)(*args, **options)


def in_dtype(value, dtype):
    """The same arguments with every array of floats in dtype."""
    if isinstance(value, Call):
        args = (in_dtype(arg, dtype) for arg in value.args)
        return Call(*args, **{k: in_dtype(v, dtype) for k, v in value.options.items()})
    if isinstance(value, tuple):
        return tuple(in_dtype(part, dtype) for part in value)
    floats = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(dtype) if floats else value


def pair(name, call, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice
        ours, theirs = (build(lib, name, call).to(getattr(lib, dtype)) for lib in (ta, torch))
    # the text of attention tells more than PyTorch's
    if "MultiheadAttention" not in repr(ours) and repr(ours) != repr(theirs):
        raise Mismatch("its text", repr(ours), repr(theirs))
    weights = ours.state_dict()
    if list(weights) != list(theirs.state_dict()):
        raise Mismatch("state_dict", list(weights), list(theirs.state_dict()))
    rng = seeded(name)
    for key, value in weights.items():  # biases start at 0, which would hide where they go
        weights[key] = ta.tensor(rng.standard_normal(value.shape) * 0.5, dtype=value.dtype)
    ours.load_state_dict(weights)
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    return {ta: ours, torch: theirs}


def differences(name):
    layer, found = TABLE[name], []
    for i in range(layer.cases * CASES // 40):
        dtype = "float32" if i % 4 == 3 else "float64"
        made, call = (in_dtype(c, dtype) for c in layer.draw(Draw(seeded(name, i), i)))
        close = 1e-3 if dtype == "float32" else 1e-8
        try:
            both = pair(name, made, dtype)
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
                if grads[0] is not None and not np.allclose(*grads, close, close, equal_nan=True):
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
