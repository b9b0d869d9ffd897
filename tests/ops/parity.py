"""One case, run here and in torch: values, dtypes, shapes, gradients and errors are the same.

A case is a function of a namespace (tinyattn or torch) and its tensors: `lambda t, x: t.sum(x, 0)`.
Look at `same_as_torch` first.
"""

import warnings

import numpy as np

import tinyattn as ta

ERRORS = (IndexError, TypeError, ValueError, RuntimeError)


def tensors_in(result):
    """The tensors of a result that is a tensor or a (named) tuple, list or nest of them."""
    if isinstance(result, (tuple, list)):
        return [tensor for part in result for tensor in tensors_in(part)]
    return [result]


def run(t, case, arrays):
    """(shape, dtype, values) of every result, then the gradient of every input; or the error."""
    inputs = [t.tensor(array) for array in arrays]
    for x in inputs:
        if x.dtype in (t.float32, t.float64):
            x.requires_grad_()
    try:
        outputs = tensors_in(case(t, *inputs))
    except ERRORS as error:
        return error
    facts = [
        (f"output {i}", tuple(y.shape), str(y.dtype).removeprefix("torch."), y.detach().numpy())
        for i, y in enumerate(outputs)
    ]
    terms = []
    for y in outputs:
        if y.requires_grad:
            weights = np.cos(np.arange(y.detach().numpy().size)).reshape(tuple(y.shape))
            terms.append((y * t.tensor(weights.astype(y.detach().numpy().dtype))).sum())
    if terms:
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        total.backward()
    for i, x in enumerate(inputs):
        grad = np.zeros(0) if x.grad is None else x.grad.numpy()
        facts.append((f"gradient {i}", grad.shape, str(grad.dtype), grad))
    return facts


def same_as_torch(torch, case, *arrays):
    ours = run(ta, case, arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's advice
        theirs = run(torch, case, arrays)
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert kind(ours) == kind(theirs), f"ours: {ours!r}; torch's: {theirs!r}"
        return
    assert len(ours) == len(theirs)
    narrow = any(values.dtype == np.float32 for *_, values in ours)
    tolerance = 1e-5 if narrow else 1e-10
    for (name, *facts, values), (_, *expected, reference) in zip(ours, theirs, strict=True):
        assert facts == expected, name
        np.testing.assert_allclose(
            values, reference, rtol=tolerance, atol=tolerance, err_msg=name, equal_nan=True
        )


def kind(error):
    return next((e for e in ERRORS if isinstance(error, e)), None)
