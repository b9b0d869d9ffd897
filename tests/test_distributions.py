"""A categorical distribution draws by its probabilities and knows their logarithms."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.distributions import Categorical

P = np.array([[0.1, 0.2, 0.7], [0.5, 0.0, 0.5]])


@pytest.mark.parametrize("given", ["probs", "logits"])
def test_probabilities_logarithms_and_entropy(given):
    p = P[:1] if given == "logits" else P
    value = np.log(p) + 3 if given == "logits" else p * 5
    choice = Categorical(**{given: ta.tensor(value)})
    np.testing.assert_allclose(choice.probs.numpy(), p, atol=1e-15)
    index = ta.tensor([2] * len(p))
    np.testing.assert_allclose(choice.log_prob(index).numpy(), np.log(p[:, 2]))
    want = -(p * np.log(np.where(p > 0, p, 1))).sum(-1)
    np.testing.assert_allclose(choice.entropy().numpy(), want, atol=1e-13)


@pytest.mark.parametrize(
    ("dtype", "tiny"), [(ta.float64, 2.220446049250313e-16), (ta.float32, 1.1920929e-07)]
)
def test_the_logarithm_of_0_is_that_of_the_smallest_step_from_1(dtype, tiny):
    logits = Categorical(probs=ta.tensor([2.0, 0.0], dtype=dtype)).logits.numpy()
    np.testing.assert_allclose(logits[0], np.log1p(-tiny), rtol=1e-6)
    np.testing.assert_allclose(logits[1], np.log(tiny), rtol=1e-7)


def test_draws_follow_the_probabilities():
    ta.manual_seed(0)
    drawn = Categorical(probs=ta.tensor(P)).sample((20000,))
    assert drawn.shape == (20000, 2)
    assert drawn.dtype == ta.int64
    for column, p in zip(drawn.numpy().T, P, strict=True):
        shares = np.bincount(column, minlength=3) / 20000
        np.testing.assert_allclose(shares, p, atol=0.015)
    assert Categorical(logits=ta.zeros(4)).sample().shape == ()
    assert Categorical(logits=ta.zeros(2, 3, 4)).sample((5,)).shape == (5, 2, 3)


def test_the_logarithm_of_a_probability_has_a_gradient():
    logits = ta.tensor([0.5, -1.0, 2.0], dtype=ta.float64, requires_grad=True)
    values = ta.tensor([0, 2, 2])
    assert ta.gradcheck(lambda x: Categorical(logits=x).log_prob(values), (logits,))
    assert ta.gradcheck(lambda x: Categorical(logits=x).entropy(), (logits,))


def test_a_class_that_a_mask_rules_out_adds_nothing_to_the_entropy():
    logits = ta.tensor([[0.0, -math.inf, 0.0], [-math.inf, 1.0, -math.inf]], requires_grad=True)
    entropy = Categorical(logits=logits).entropy()
    entropy.sum().backward()
    np.testing.assert_allclose(entropy.detach().numpy(), [math.log(2), 0], atol=1e-6)
    np.testing.assert_allclose(logits.grad.numpy(), np.zeros((2, 3)), atol=1e-6)


def test_one_class_for_all_rows_and_rows_for_all_classes():
    choice = Categorical(probs=ta.tensor(P[:1] * [[1.0], [1.0]]))
    np.testing.assert_allclose(choice.log_prob(ta.tensor(1)).numpy(), np.log([0.2, 0.2]))
    one = Categorical(probs=ta.tensor(P[0]))
    found = one.log_prob(ta.tensor([[0.0, 2.0]]))
    np.testing.assert_allclose(found.numpy(), np.log([[0.1, 0.7]]))


def test_what_is_no_class_is_refused():
    choice = Categorical(probs=ta.tensor(P[0]))
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=r"log_prob: value: expected classes in \[0, 3\)"):
            choice.log_prob(ta.tensor(wrong))
    with pytest.raises(ValueError, match="log_prob: value: expected whole numbers"):
        choice.log_prob(ta.tensor(0.5))


def test_wrong_parameters_are_refused():
    for wrong in ({}, {"probs": ta.ones(2), "logits": ta.ones(2)}):
        with pytest.raises(ValueError, match="either probs or logits"):
            Categorical(**wrong)
    for wrong in (ta.tensor([-1.0, 2.0]), ta.zeros(2), ta.tensor(1.0)):
        with pytest.raises(ValueError, match="probs"):
            Categorical(probs=wrong)
    with pytest.raises(ValueError, match="logits"):
        Categorical(logits=ta.tensor(1.0))
