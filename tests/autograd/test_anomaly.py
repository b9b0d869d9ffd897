"""Anomaly mode names the operation, the line, the first bad element, and the way it went."""

import threading
import warnings

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import leaf
from tinyattn.autograd import Function, detect_anomaly, set_detect_anomaly
from tinyattn.nn import functional as F

inf, nan = float("inf"), float("nan")


# What appears in a forward

FORWARD = {
    "log": (lambda x: x.log(), "Log", "nan", "nan", (1,)),
    "sqrt": (lambda x: x.sqrt(), "Sqrt", "nan", "nan", (1,)),
    "division by zero": (lambda x: x / (x + 2), "Div", "inf", "-inf", (1,)),
    "overflow": (lambda x: (x * 1e3).exp(), "Exp", "inf", "inf", (0,)),
    "0 / 0": (lambda x: x[2:] / 0, "Div", "nan", "nan", (0,)),
    "pow": (lambda x: x**-1, "PowNumber", "inf", "inf", (2,)),
    "inf - inf": (lambda x: x * inf - x * inf, "Mul", "nan", "nan", (2,)),
    "float32": (lambda x: (x * 1e39).float(), "Cast", "inf", "inf", (0,)),
    "nothing to attend": (lambda x: (x * 0 + 1 - inf).softmax(-1), "Softmax", "nan", "nan", (0,)),
    "a sum": (lambda x: (x.detach() * 0 + 1e308).sum(), "Sum", "inf", "inf", ()),
    "log 0": (lambda x: x[2:].log(), "Log", "inf", "-inf", (0,)),
}


@pytest.mark.parametrize("case", FORWARD)
def test_the_first_bad_result_is_named(case):
    function, name, kind, value, index = FORWARD[case]
    x = leaf([1.0, -2.0, 0.0])
    function(x)
    with detect_anomaly(), pytest.raises(RuntimeError) as caught:
        function(x)
    message = str(caught.value)
    assert message.startswith(f"{name}, forward: output 0 of shape ")
    assert f"is {value} at index {index}, and no input is {kind}." in message


@pytest.mark.parametrize("no_grad", [False, True])
def test_the_line_is_the_users(no_grad):
    model = ta.nn.Sequential(ta.nn.Linear(2, 3), ta.nn.LogSoftmax(-1))
    with detect_anomaly(), ta.set_grad_enabled(not no_grad), pytest.raises(RuntimeError) as caught:
        model(ta.ones(4, 2)).exp().log_softmax(-1).add(1).sub(9).sqrt()  # this one
    message = str(caught.value)
    assert __file__ in message
    assert message.endswith(
        "model(ta.ones(4, 2)).exp().log_softmax(-1).add(1).sub(9).sqrt()  # this one"
    )


def test_infinities_that_were_put_in_are_no_fault():
    scores = leaf([1.0, 2.0, 3.0])
    mask = ta.tensor([True, True, False])
    q = ta.randn(1, 2, 3, 4, requires_grad=True)
    additive = ta.tensor([0.0, 0.0, -inf])
    with detect_anomaly(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for masked in (
            scores.masked_fill(mask.logical_not(), -inf),
            ta.where(mask, scores, -inf),
            ta.where(mask, scores, ta.full((3,), -inf, dtype=ta.float64)),
            scores + ta.tensor([0.0, 0.0, -inf]),
            scores + mask.double().log(),
            ta.cat([scores[:2], ta.tensor(np.array([-inf]))]),
        ):
            masked.softmax(-1)[0].backward(retain_graph=True)
            masked.log_softmax(-1)[0].backward()
        filled = scores * 1
        filled[2] = -inf
        filled.softmax(-1)[0].backward()
        filled = ta.zeros(3)
        filled.fill_(-inf)
        filled.masked_fill_(mask, 0.0)
        F.scaled_dot_product_attention(q, q, q, additive).sum().backward()
        F.scaled_dot_product_attention(q, q, q, ta.zeros(3, 3).bool()).sum().backward()
        ta.attention(q, q, q, "additive", additive, v=ta.ones(4)).sum().backward()
    assert np.isfinite(scores.grad.numpy()).all()


def test_what_came_in_is_not_made():
    with detect_anomaly():
        x = leaf([nan, inf, 1.0])
        assert np.isnan((x * 2 + 1).tolist()[0])


# What appears in a backward


def test_a_gradient_that_is_infinite_or_not_a_number():
    x = leaf([4.0, 0.0])
    with detect_anomaly():
        y = x.sqrt()  # here
        z = y * ta.tensor(np.array([1.0, 0.0]))
        with pytest.raises(RuntimeError) as caught:
            y.sum().backward(retain_graph=True)
        assert "Function 'SqrtBackward' returned inf values in its 0th output" in str(caught.value)
        assert "Sqrt, backward: the gradient of input 0, of shape [2], is inf at index (1,)" in str(
            caught.value
        )
        assert str(caught.value).endswith("y = x.sqrt()  # here")
        with pytest.raises(
            RuntimeError, match=r"SqrtBackward' returned nan .* is nan at index \(1"
        ):
            z.sum().backward()
    assert x.grad is None


class Bad(Function):
    """The second gradient is NaN."""

    def forward(self, x, y):
        return x + y

    def backward(self, grad):
        return grad, grad * nan


def test_an_operation_of_the_users_own():
    x, y = leaf([1.0]), leaf([2.0])
    out = Bad.apply(x, y)
    with detect_anomaly(), pytest.raises(RuntimeError) as caught:
        out.backward()
    assert "'BadBackward' returned nan values in its 1th output" in str(caught.value)
    assert "recorded at an unknown line, outside anomaly mode" in str(caught.value)


def test_gradients_that_are_computed_later_are_looked_at_too():
    w = ta.tensor(np.full((2, 2), 1e200), requires_grad=True)
    x = ta.tensor(np.full((3, 2), 1e200))
    with detect_anomaly():
        out = F.linear(x * 1e-200, w)
        with pytest.raises(RuntimeError, match=r"'LinearBackward' .* input 1, of shape \[2, 2\]"):
            out.backward(ta.full_like(out, 1e308) * 1.7)


class BadPart(Function):
    def forward(self, x):
        self.shape = x.shape
        return x[2:]

    def backward(self, grad):
        return self.placed(self.shape, (slice(2, None),), grad * nan)


def test_the_index_of_a_part_is_its_place_in_the_whole():
    with (
        detect_anomaly(),
        pytest.raises(RuntimeError, match=r"shape \[4\], is nan at index \(2,\)"),
    ):
        BadPart.apply(leaf([1.0, 2.0, 3.0, 4.0])).sum().backward()


def test_nan_that_arrives_is_not_made():
    x = leaf([1.0, 2.0])
    with detect_anomaly():
        (x * 3).backward(ta.tensor([nan, inf]))
    assert np.isnan(x.grad.tolist()[0])


def test_without_check_nan_only_lines_are_kept():
    x = leaf([-1.0])
    with detect_anomaly(check_nan=False):
        y = x.sqrt() / 0
        y.backward()
    assert y.grad_fn.recorded_at.endswith("y = x.sqrt() / 0")


# Versions, with both lines


def test_a_changed_tensor_is_named_with_both_lines():
    with detect_anomaly():
        h = leaf([1.0, 2.0]) * 1
        y = h * h  # saved
        h += 1  # changed
    with pytest.raises(RuntimeError) as caught:  # outside, too: the lines were recorded inside
        y.sum().backward()
    lines = str(caught.value).split("\n")
    assert "Mul saved a tensor of shape [2]; add_ has since made it version 1" in lines[0]
    assert lines[1].startswith(f"  saved at {__file__}:")
    assert lines[1].endswith("y = h * h  # saved")
    assert lines[2].startswith(f"  changed at {__file__}:")
    assert lines[2].endswith("h += 1  # changed")


def test_the_optimisers_line_is_that_of_its_step():
    w = leaf([1.0])
    optimiser = ta.optim.SGD([w], lr=0.1)
    with detect_anomaly():
        y = w * w
        y.sum().backward(retain_graph=True)
        optimiser.step()  # too early
        with pytest.raises(RuntimeError, match=r"changed at .*optimiser\.step\(\)  # too early"):
            y.sum().backward()


def test_a_leaf_that_lost_its_memory_names_the_line_of_the_change():
    with detect_anomaly():
        base = ta.zeros(2)
        view = base[:1].requires_grad_()
        base.add_(leaf([1.0, 2.0]))  # behind its back
        with pytest.raises(RuntimeError, match=r"changed at .*# behind its back"):
            view * 2


WAYS = {
    "numpy() before": lambda x, early: early.__setitem__(0, 7.0),
    "numpy() after": lambda x, early: x.detach().numpy().__setitem__(0, 7.0),
    "np.asarray": lambda x, early: np.asarray(x).fill(3.0),
    "a NumPy view": lambda x, early: early[1:].__iadd__(1),
    "one bit": lambda x, early: early.view(np.uint64).__ixor__(1),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_change_through_numpy_is_found(way):
    with detect_anomaly():
        h = leaf([1.0, 2.0]) * 1
        early = h.detach().numpy()
        y = (h * h).sum()  # saved here
        WAYS[way](h, early)
        with pytest.raises(RuntimeError, match=r"Mul saved, of shape \[2\](.|\n)*# saved here"):
            y.backward()


def test_a_change_of_what_from_numpy_shares_is_found():
    array = np.ones(3)
    with detect_anomaly():
        y = leaf([1.0, 2.0, 3.0]) * ta.from_numpy(array)
        array[1] = 5
        with pytest.raises(RuntimeError, match=r"numpy\(\) and from_numpy\(\) give"):
            y.sum().backward()


def test_strides_and_empty_arrays_have_fingerprints():
    with detect_anomaly():
        x = ta.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
        (x.t().exp().sum() + x[:0].exp().sum() + (x.t() * x.t()).sum()).backward()
        h = x * 1
        h *= h  # the tape's own copy of what it overwrites
        h.sum().backward()


# The mode


def test_it_ends_with_its_block_and_with_an_exception():
    x = leaf([-1.0])
    with pytest.raises(RuntimeError), detect_anomaly():
        x.sqrt()
    x.sqrt().backward()
    with detect_anomaly():
        with detect_anomaly(), set_detect_anomaly(False):
            x.sqrt()
        with pytest.raises(RuntimeError):
            x.sqrt()
    x.sqrt()
    assert x.sqrt().grad_fn.recorded_at == ""


def test_set_detect_anomaly_acts_at_once():
    set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match="Log, forward"):
            leaf([-1.0]).log()
    finally:
        set_detect_anomaly(False)
    leaf([-1.0]).log()


def test_it_is_a_threads_own():
    seen = []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: seen.append(leaf([-1.0]).log().isnan().item()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_results_are_the_same():
    rng = np.random.default_rng(0)
    x = ta.tensor(rng.normal(size=(5, 4)), requires_grad=True)
    model = ta.nn.GRU(4, 3).double()

    def gradients():
        return ta.autograd.grad(model(x)[0].softmax(-1).log().sum(), [x, *model.parameters()])

    plain = gradients()
    with detect_anomaly():
        watched = gradients()
    for one, other in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
