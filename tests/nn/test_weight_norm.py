"""Weight normalisation: a weight as its length and its direction."""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn.utils import remove_weight_norm, weight_norm

X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


def layer(**options):
    made = nn.Linear(3, 2)
    with ta.no_grad():
        made.weight.copy_(ta.tensor([[3.0, 4.0, 0.0], [0.0, -2.0, 0.0]]))
    return weight_norm(made, **options)


@pytest.mark.parametrize(
    ("dim", "lengths"),
    [(0, [[5.0], [2.0]]), (1, [[3.0, 20**0.5, 0.0]]), (None, 29**0.5), (-1, 29**0.5)],
)
def test_lengths_are_those_of_the_slices_along_dim(dim, lengths):
    made = layer(dim=dim)
    np.testing.assert_allclose(made.weight_g.detach().numpy(), lengths, 1e-6)
    assert made.weight_v.tolist() == [[3.0, 4.0, 0.0], [0.0, -2.0, 0.0]]
    assert list(made.state_dict()) == ["bias", "weight_g", "weight_v"]


def test_a_fresh_layer_computes_what_it_did_and_then_what_its_lengths_say():
    made = layer()
    np.testing.assert_allclose(made.weight.detach().numpy(), [[3, 4, 0], [0, -2, 0]], 1e-6)
    with ta.no_grad():
        made.weight_g.copy_(ta.tensor([[10.0], [1.0]]))
        made.bias.zero_()
    expected = X @ np.array([[6, 8, 0], [0, -1, 0]]).T
    np.testing.assert_allclose(made(ta.tensor(X)).detach().numpy(), expected, 1e-5)


def test_gradients_of_lengths_and_directions():
    """dg = dw . v / |v|;  dv = g / |v| (dw - v (v . dw) / |v|^2), for each row."""
    made = layer()
    made(ta.tensor(X)).sum().backward()
    dw, v = np.tile(X.sum(0), (2, 1)), made.weight_v.detach().numpy()
    n = np.array([[5.0], [2.0]])
    along = (dw * v).sum(1, keepdims=True)
    np.testing.assert_allclose(made.weight_g.grad.numpy(), along / n, 1e-5)
    np.testing.assert_allclose(made.weight_v.grad.numpy(), dw - v * along / n**2, 1e-4, 1e-5)


def test_convolutions_recurrent_layers_and_vectors_can_be_normalised():
    conv = weight_norm(nn.Conv1d(2, 3, 5))
    assert conv.weight_g.shape == (3, 1, 1)
    gru = weight_norm(nn.GRU(2, 3), "weight_hh_l0")
    x = ta.ones(4, 1, 2)
    before = gru(x)[0].tolist()
    with ta.no_grad():
        gru.weight_hh_l0_g.mul_(2)
    assert gru(x)[0].tolist() != before
    assert weight_norm(nn.Linear(2, 3), "bias").bias_g.shape == (3,)


def test_a_state_goes_on_where_it_was():
    made, other = layer(), weight_norm(nn.Linear(3, 2))
    other.load_state_dict(made.state_dict())
    x = ta.tensor(X)
    assert other(x).tolist() == made(x).tolist()


def test_removed_it_leaves_one_parameter_of_the_present_value():
    made = layer()
    with ta.no_grad():
        made.weight_g.mul_(2)
    assert remove_weight_norm(made) is made
    assert [name for name, _ in made.named_parameters()] == ["bias", "weight"]
    np.testing.assert_allclose(made.weight.detach().numpy(), [[6, 8, 0], [0, -4, 0]], 1e-6)
    made(ta.tensor(X)).sum().backward()
    assert made.weight.grad is not None
    weight_norm(made)  # it can be normalised again


def test_what_can_not_be_normalised_is_refused():
    with pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"):
        weight_norm(layer())
    with pytest.raises(AttributeError, match="nope"):
        weight_norm(nn.Linear(3, 2), "nope")
    with pytest.raises(TypeError, match=r"name: expected a parameter of Linear.* is a int"):
        weight_norm(nn.Linear(3, 2), "in_features")
    with pytest.raises(IndexError):
        weight_norm(nn.Linear(3, 2), dim=2)
    with pytest.raises(ValueError, match="weight_norm of 'weight' not found in Linear"):
        remove_weight_norm(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="weight_norm of 'bias' not found"):
        remove_weight_norm(layer(), "bias")


def test_two_parameters_of_a_layer_can_be_normalised():
    both = weight_norm(layer(), "bias")
    assert sorted(dict(both.named_parameters())) == ["bias_g", "bias_v", "weight_g", "weight_v"]
