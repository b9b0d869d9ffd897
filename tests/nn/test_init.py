"""First values have the distributions PyTorch's have, and come from tinyattn's generator."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn import init


def is_uniform(array, bound):
    assert np.abs(array).max() <= bound
    assert np.abs(array).max() > 0.98 * bound
    assert array.mean() == pytest.approx(0, abs=bound / 20)
    assert array.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def is_normal(array, std):
    assert array.mean() == pytest.approx(0, abs=std / 20)
    assert array.std() == pytest.approx(std, rel=0.05)
    assert (np.abs(array) > std).mean() == pytest.approx(0.3173, abs=0.03)


def test_linear_is_uniform_by_its_inputs():
    layer = nn.Linear(50, 200)
    is_uniform(layer.weight._array, 1 / math.sqrt(50))
    is_uniform(nn.Linear(50, 5000).bias._array, 1 / math.sqrt(50))


def test_linear_without_inputs_has_a_bias_of_zeros():
    assert nn.Linear(0, 3).bias.tolist() == [0.0, 0.0, 0.0]


def test_a_graph_over_weights_that_were_drawn_anew_is_refused():
    x, w = ta.ones(2, requires_grad=True), nn.Parameter(ta.ones(2))
    y = x * w
    init.zeros_(w)
    with pytest.raises(RuntimeError, match="zeros_"):
        y.sum().backward()


def test_gru_is_uniform_by_its_hidden_size():
    for module in (nn.GRU(30, 64, num_layers=2, bidirectional=True), nn.GRUCell(30, 64)):
        is_uniform(np.concatenate([p._array.ravel() for p in module.parameters()]), 1 / 8)


def test_embedding_is_normal_but_for_the_row_of_padding():
    table = nn.Embedding(100, 50, padding_idx=-1)
    assert table.padding_idx == 99
    assert not table.weight._array[99].any()
    is_normal(table.weight._array[:99], 1)


def test_layer_norm_begins_as_the_identity_on_normalised_rows():
    layer = nn.LayerNorm((2, 3))
    assert layer.weight.tolist() == [[1.0] * 3] * 2
    assert layer.bias.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("shape", [(100, 60), (30, 20, 3)])
def test_the_formulas(shape):
    fan_in, fan_out = shape[1] * math.prod(shape[2:]), shape[0] * math.prod(shape[2:])
    w = ta.zeros(*shape)
    mean = (fan_in + fan_out) / 2
    is_uniform(init.xavier_uniform_(w, gain=2)._array, 2 * math.sqrt(3 / mean))
    is_normal(init.xavier_normal_(w)._array, math.sqrt(1 / mean))
    is_uniform(init.kaiming_uniform_(w, nonlinearity="relu")._array, math.sqrt(6 / fan_in))
    is_normal(init.kaiming_normal_(w, a=1, mode="fan_out")._array, math.sqrt(1 / fan_out))
    is_uniform(init.uniform_(w, -3, 3)._array, 3)
    is_normal(init.normal_(w, 0, 2)._array, 2)


GAIN = math.sqrt(2)  # of leaky_relu with slope 0
SAME = {
    "uniform_": (init.uniform_, init.uniform_, (0.0, 1.0)),
    "normal_": (init.normal_, init.normal_, (0.0, 1.0)),
    "xavier_uniform_": (init.xavier_uniform_, init.uniform_, (-1.0, 1.0)),
    "xavier_normal_": (init.xavier_normal_, init.normal_, (0.0, math.sqrt(1 / 3))),
    "kaiming_uniform_": (init.kaiming_uniform_, init.uniform_, (-GAIN, GAIN)),
    "kaiming_normal_": (init.kaiming_normal_, init.normal_, (0.0, GAIN / math.sqrt(3))),
}


@pytest.mark.parametrize("name", SAME)
def test_a_formula_by_default_is_a_distribution_of_these_numbers(name):
    """For 3 inputs and 3 outputs: sqrt(6 / (3 + 3)) = 1, and sqrt(3 / 3) = 1 times the gain."""
    formula, draw, numbers = SAME[name]
    one, other = ta.empty(3, 3), ta.empty(3, 3)
    ta.manual_seed(7)
    assert formula(one) is one
    ta.manual_seed(7)
    draw(other, *numbers)
    np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


@pytest.mark.parametrize("formula", [init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_])
def test_a_formula_leaves_what_has_no_elements_and_draws_a_single_row(formula):
    for shape in ((0, 3), (3, 0)):
        empty = ta.empty(*shape)
        assert formula(empty) is empty
    row = ta.zeros(1, 3)
    assert formula(row) is row
    assert row.numpy().any()


def test_an_orthogonal_matrix_of_one_number_is_1_or_minus_1():
    assert abs(init.orthogonal_(ta.zeros(1, 1)).item()) == 1


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7), (3, 2, 4)])
def test_orthogonal(shape):
    w = init.orthogonal_(ta.zeros(*shape, dtype=ta.float64), gain=2)._array
    w = w.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_constants():
    w = nn.Parameter(ta.randn(2, 3))
    assert init.constant_(w, 3) is w
    assert w.tolist() == [[3.0] * 3] * 2
    assert init.ones_(w).tolist() == [[1.0] * 3] * 2
    assert init.zeros_(w).tolist() == [[0.0] * 3] * 2
    assert init.eye_(w).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert w.is_leaf
    assert w.requires_grad


def test_gains_are_pytorchs():
    for name, gain in (("linear", 1), ("sigmoid", 1), ("tanh", 5 / 3), ("relu", math.sqrt(2))):
        assert init.calculate_gain(name) == gain
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.calculate_gain("relu6"), "nonlinearity: expected one of"),
        (lambda: init.calculate_gain("leaky_relu", "x"), "param: expected the negative slope"),
        (lambda: init.kaiming_uniform_(ta.ones(2, 2), mode="fan"), "mode: expected fan_in or"),
        (lambda: init.xavier_uniform_(ta.ones(2)), "fewer than 2"),
        (lambda: init.orthogonal_(ta.ones(2)), "expected 2 dimensions or more"),
        (lambda: init.eye_(ta.ones(2)), "expected 2 dimensions"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_seed_decides():
    ta.manual_seed(3)
    one = nn.GRU(3, 4).state_dict()
    ta.manual_seed(3)
    other = nn.GRU(3, 4).state_dict()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_a_truncated_normal_stays_inside_and_keeps_its_shape():
    x = init.trunc_normal_(ta.empty(100, 100), 1.0, 2.0, 0.0, 2.0).numpy()
    assert x.min() >= 0
    assert x.max() <= 2
    assert abs(x.mean() - 1) < 0.02
    assert abs(x.std() - 0.5678) < 0.01  # U(0, 2) would have 0.5774, N(1, 4) 2


def test_a_truncated_normal_is_by_default_the_standard_one_between_minus_2_and_2():
    x = init.trunc_normal_(ta.empty(200, 200)).numpy()
    assert (x.min(), x.max()) == pytest.approx((-2, 2), abs=0.01)
    assert abs(x.mean()) < 0.02
    assert x.std() == pytest.approx(0.8796, abs=0.01)


def test_a_truncated_normal_of_one_side_only():
    x = init.trunc_normal_(ta.empty(200, 200), a=0.0, b=1.0).numpy()
    assert (x.min(), x.max()) == pytest.approx((0, 1), abs=0.01)
    assert x.mean() == pytest.approx(0.4598, abs=0.01)  # U(0, 1) would have 0.5


def test_attention_starts_by_xavier_and_without_biases():
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    is_uniform(layer.in_proj_weight._array, math.sqrt(6 / (64 + 3 * 64)))
    assert not layer.in_proj_bias._array.any()
    assert not layer.out_proj.bias._array.any()
    is_uniform(layer.out_proj.weight._array, 1 / math.sqrt(64))
    wide = nn.MultiheadAttention(16, 4, kdim=1000, vdim=500, add_bias_kv=True)
    is_uniform(wide.k_proj_weight._array, math.sqrt(6 / (1000 + 16)))
    is_uniform(wide.v_proj_weight._array, math.sqrt(6 / (500 + 16)))
    many = nn.MultiheadAttention(1000, 1, add_bias_kv=True)
    for bias in (many.bias_k, many.bias_v):  # (1, 1, E): fan_in and fan_out are E
        assert bias._array.std() == pytest.approx(math.sqrt(2 / (1000 + 1000)), rel=0.1)
        assert abs(bias._array).max() > 2.5 * math.sqrt(1 / 1000)  # normal, not uniform


def test_attention_by_a_score_starts_by_xavier():
    general = nn.Attention("general", 60, 100)
    is_uniform(general.weight._array, math.sqrt(6 / (60 + 100)))
    additive = nn.Attention("additive", 60, 100, 2000)
    is_uniform(additive.weight_q._array, math.sqrt(6 / (60 + 2000)))
    is_uniform(additive.weight_k._array, math.sqrt(6 / (100 + 2000)))
    assert additive.v._array.std() == pytest.approx(2000**-0.5, rel=0.1)
    assert not additive.bias._array.any()


def test_convolutions_are_uniform_by_what_a_window_holds():
    layer = nn.Conv1d(12, 400, 5, groups=2)
    is_uniform(layer.weight._array, 1 / math.sqrt(12 / 2 * 5))
    is_uniform(nn.Conv1d(12, 5000, 5, groups=2).bias._array, 1 / math.sqrt(12 / 2 * 5))


def test_learned_positions_start_small_and_normal():
    is_normal(nn.LearnedPositions(100, 50).weight._array, 0.02)


def test_matrices_of_a_transformer_start_by_xavier():
    model = nn.Transformer(48, 4, 1, 1, 96)
    for layer in (model.encoder.layers[0], model.decoder.layers[0]):
        is_uniform(layer.linear1.weight._array, math.sqrt(6 / (48 + 96)))
        is_uniform(layer.self_attn.out_proj.weight._array, math.sqrt(6 / (48 + 48)))
        is_uniform(layer.self_attn.in_proj_weight._array, math.sqrt(6 / (48 + 3 * 48)))


def test_norms_start_as_ones():
    assert nn.RMSNorm((2, 3)).weight.tolist() == [[1.0] * 3] * 2


def test_programs_ask_for_the_fans_by_pytorchs_name():
    assert nn.init._calculate_fan_in_and_fan_out(nn.Linear(3, 5).weight) == (3, 5)
    assert nn.init._calculate_fan_in_and_fan_out(nn.Conv1d(3, 5, 7).weight) == (21, 35)
