"""What the tests of nn share: numbers to work with, and comparisons."""

import numpy as np

import tinyattn as ta
from tests.helpers import numbers
from tinyattn import nn


def array(x):
    """The array of a tensor; an array as it is."""
    return x.detach().numpy() if hasattr(x, "detach") else np.asarray(x)


def agree(found, expected, tolerance=1e-10):
    """Two tensors or arrays (of tinyattn, PyTorch or NumPy) of one shape and almost one value."""
    found, expected = array(found), array(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def filled(module):
    """The module in float64 with random numbers in all parameters, also in biases and norms."""
    module.double()
    state = {
        name: numbers(value.shape, i) for i, (name, value) in enumerate(module.state_dict().items())
    }
    module.load_state_dict(state)
    return module


def state(module):
    """The module's parameters and buffers as arrays, by name."""
    return {name: value.numpy() for name, value in module.state_dict().items()}


def tensors(*arrays):
    """Each array as a tensor."""
    return [ta.tensor(x) for x in arrays]


def parts(states):
    """The parts of a state: the pair of an LSTM, or the one tensor of the others."""
    return list(states) if isinstance(states, tuple) else [states]


def whole(states):
    """The reverse of `parts`."""
    return tuple(states) if len(states) > 1 else states[0]


def twins(torch, name, *args, dtype="float64", **options):
    """The module of both libraries with the same random weights, loaded in both directions."""
    ours = filled(getattr(nn, name)(*args, **options)).to(dtype)
    theirs = getattr(torch.nn, name)(*args, **options).to(getattr(torch, dtype))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict({k: torch.tensor(v) for k, v in state(ours).items()})
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def same_gradients(ours, theirs, our_output, their_output, our_inputs, their_inputs):
    """The gradients of inputs and parameters agree with PyTorch's."""
    weights = np.cos(np.arange(their_output.numel())).reshape(their_output.shape)
    (our_output * ta.tensor(weights)).sum().backward()
    (their_output * their_output.new_tensor(weights)).sum().backward()
    for a, b in zip(our_inputs, their_inputs, strict=True):
        agree(a.grad, b.grad)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if b.grad is not None:
            agree(a.grad, b.grad)
