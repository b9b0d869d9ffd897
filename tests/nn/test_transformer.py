"""The Transformer: torch's numbers, gradients and weights both ways; decoding step by step."""

import numpy as np
import pytest

import tinyattn as ta
from tests.helpers import numbers
from tinyattn import nn

from .helpers import agree, same_gradients, twins

F64 = ta.float64
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")
S, T, B, E, h = 5, 4, 3, 8, 2
LAYER = {"dim_feedforward": 12, "dropout": 0.0}
PADDING = np.arange(S) >= np.array([5, 3, 1])[:, None]
TARGET_PADDING = np.arange(T) >= np.array([4, 2, 1])[:, None]
KINDS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "norm first": {"norm_first": True, "layer_norm_eps": 1e-3},
    "no bias": {"bias": False},
    "gelu": {"activation": "gelu"},
}


def both(t_torch, array, batch_first):
    array = array.swapaxes(0, 1).copy() if batch_first else array
    return ta.tensor(array, requires_grad=True), t_torch.tensor(array, requires_grad=True)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mask", ["none", "bool", "padding", "causal and padding"])
@pytest.mark.parametrize("kind", KINDS)
def test_encoder_layer_is_torchs(torch, kind, mask, training):
    options = LAYER | KINDS[kind]
    ours, theirs = twins(torch, "TransformerEncoderLayer", E, h, **options)
    ours.train(training), theirs.train(training)
    a, b = both(torch, numbers((S, B, E)), ours.self_attn.batch_first)
    masks = {}
    if mask in ("bool", "causal and padding"):
        masks["src_mask"] = np.triu(np.ones((S, S), bool), 1)
    if "padding" in mask:
        masks["src_key_padding_mask"] = PADDING
    out = ours(a, **{k: ta.tensor(m) for k, m in masks.items()})
    want = theirs(b, **{k: torch.tensor(m) for k, m in masks.items()})
    agree(out, want, 1e-9)
    same_gradients(ours, theirs, out, want, [a], [b])


@pytest.mark.parametrize("mask", ["none", "causal", "all"])
@pytest.mark.parametrize("kind", KINDS)
def test_decoder_layer_is_torchs(torch, kind, mask):
    options = LAYER | KINDS[kind]
    ours, theirs = twins(torch, "TransformerDecoderLayer", E, h, **options)
    batch_first = ours.self_attn.batch_first
    a, b = both(torch, numbers((T, B, E)), batch_first)
    memory, memory_t = both(torch, numbers((S, B, E)), batch_first)
    masks, hint = {}, {}
    if mask != "none":
        masks["tgt_mask"] = np.triu(np.ones((T, T), bool), 1)
        hint = {"tgt_is_causal": True}
    if mask == "all":
        masks |= {"tgt_key_padding_mask": TARGET_PADDING, "memory_key_padding_mask": PADDING}
        masks["memory_mask"] = np.eye(T, S, 1).astype(bool)
    out = ours(a, memory, **{k: ta.tensor(m) for k, m in masks.items()}, **hint)
    want = theirs(b, memory_t, **{k: torch.tensor(m) for k, m in masks.items()}, **hint)
    agree(out, want, 1e-9)
    same_gradients(ours, theirs, out, want, [a, memory], [b, memory_t])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["plain", "batch first", "norm first"])
def test_transformer_is_torchs(torch, kind, training):
    options = LAYER | KINDS[kind] | {"num_encoder_layers": 2, "num_decoder_layers": 2}
    ours, theirs = twins(torch, "Transformer", E, h, **options)
    ours.train(training), theirs.train(training)
    a, b = both(torch, numbers((S, B, E)), ours.batch_first)
    tgt, tgt_t = both(torch, numbers((T, B, E)), ours.batch_first)
    causal = nn.Transformer.generate_square_subsequent_mask(T, dtype=F64)
    agree(causal, torch.nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64), 0)
    out = ours(a, tgt, tgt_mask=causal, src_key_padding_mask=ta.tensor(PADDING))
    padding = torch.tensor(PADDING).double().masked_fill(torch.tensor(PADDING), -np.inf)
    want = theirs(b, tgt_t, tgt_mask=torch.tensor(causal.numpy()), src_key_padding_mask=padding)
    agree(out, want, 1e-9)
    same_gradients(ours, theirs, out, want, [a, tgt], [b, tgt_t])


def test_one_sequence_without_a_batch(torch):
    ours, theirs = twins(torch, "Transformer", E, h, 1, 1, **LAYER)
    a, b = ta.tensor(numbers((S, E))), torch.tensor(numbers((S, E)))
    agree(ours(a, a[:3]), theirs(b, b[:3]), 1e-9)


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sizes", [[1] * 6, [3, 1, 2]])
def test_decoding_step_by_step_is_the_whole_at_once(backend, sizes, batch_first, norm_first):
    layer = nn.TransformerDecoderLayer(
        E, h, 12, 0.0, batch_first=batch_first, norm_first=norm_first, dtype=F64
    )
    decoder = nn.TransformerDecoder(layer, 2, nn.LayerNorm(E, dtype=F64))
    axis = 1 if batch_first else 0
    tgt, memory = ta.randn(6, B, E, dtype=F64), ta.randn(S, B, E, dtype=F64)
    if batch_first:
        tgt, memory = tgt.transpose(0, 1), memory.transpose(0, 1)
    padding = ta.tensor(PADDING)
    causal = nn.Transformer.generate_square_subsequent_mask(6, dtype=F64)
    want = decoder(tgt, memory, causal, memory_key_padding_mask=padding)
    cache, parts, at = decoder.new_cache(), [], 0
    for size in sizes:
        step = tgt.narrow(axis, at, size)
        parts.append(decoder(step, memory, memory_key_padding_mask=padding, cache=cache))
        at += size
    agree(ta.cat(parts, axis), want, 1e-12)


def test_a_decoder_sees_no_later_step():
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(E, h, 12, 0.0, dtype=F64), 2)
    tgt, memory = ta.randn(T, B, E, dtype=F64), ta.randn(S, B, E, dtype=F64)
    mask = ta.ones(T, T, dtype=bool).triu(1)
    before = decoder(tgt, memory, mask).detach().numpy()
    changed = ta.cat([tgt[:2], ta.randn(2, B, E, dtype=F64)])
    after = decoder(changed, memory, mask).detach().numpy()
    np.testing.assert_allclose(before[:2], after[:2], rtol=0, atol=1e-13)
    assert abs(before[2:] - after[2:]).max() > 1e-3


def test_layers_pass_the_gradient_check(backend):
    encoder = nn.TransformerEncoderLayer(4, 2, 6, 0.0, "gelu", dtype=F64)
    decoder = nn.TransformerDecoderLayer(4, 2, 6, 0.0, ta.tanh, norm_first=True, dtype=F64)
    src = ta.randn(3, 2, 4, dtype=F64, requires_grad=True)
    tgt = ta.randn(2, 2, 4, dtype=F64, requires_grad=True)
    assert ta.gradcheck_module(encoder, (src, ta.ones(3, 3, dtype=bool).triu(1)), samples=25)
    assert ta.gradcheck_module(decoder, (tgt, src), samples=25)


def test_the_start_is_torchs(torch):
    torch.manual_seed(0)
    ours = nn.Transformer(32, 4, 1, 1, 64).state_dict()
    theirs = torch.nn.Transformer(32, 4, 1, 1, 64).state_dict()
    for name, a in ours.items():
        a, b = a.numpy(), theirs[name].numpy()
        np.testing.assert_allclose(np.abs(a).max(), np.abs(b).max(), rtol=0.3, err_msg=name)
        np.testing.assert_allclose(a.std(), b.std(), rtol=0.3, err_msg=name)


def test_layers_of_a_stack_learn_apart():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, h, 12), 3)
    assert len(list(encoder.parameters())) == 3 * 12
    assert encoder.layers[0].linear1.weight is not encoder.layers[1].linear1.weight


def test_dropout_acts_in_training_only():
    layer = nn.TransformerEncoderLayer(E, h, 12, dropout=0.5)
    x = ta.randn(S, B, E)
    assert (layer(x) != layer(x)).any()
    layer.eval()
    assert (layer(x) == layer(x)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m, x: m(x, x[:, :2]),
            r"the batch number of src and tgt must be equal, got B = 3 in src \[5, 3, 8\] and 2",
        ),
        (
            lambda m, x: m(x, x[..., :4]),
            r"tgt: the feature number of src and tgt must be equal to d_model, .* E = 8, got 4",
        ),
        (
            lambda m, x: m(x, x, src_mask=ta.ones(3, 5, dtype=bool)),
            r"attn_mask is \[3, 5\], but should be \(Tq, Tk\) = \[5, 5\]; padding",
        ),
    ],
)
def test_errors_name_the_argument_and_both_sizes(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(nn.Transformer(E, h, 1, 1, 12), ta.randn(S, B, E))


def test_an_unknown_activation_is_refused():
    with pytest.raises(RuntimeError, match="activation should be relu/gelu, not swish"):
        nn.TransformerEncoderLayer(E, h, activation="swish")


def test_layers_are_2048_wide_inside_by_default():
    for kind in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer):
        assert kind(2, 1).linear1.out_features == 2048


def test_a_transformer_by_default_is_that_of_the_paper():
    """512 features in 8 heads, 6 layers on each side, 2048 features inside, dropout 0.1."""
    wide = nn.Transformer(num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=1)
    assert (wide.d_model, wide.nhead) == (512, 8)
    deep = nn.Transformer(8, 2, dim_feedforward=1)
    assert (len(deep.encoder.layers), len(deep.decoder.layers)) == (6, 6)
    for stack in (deep.encoder, deep.decoder):
        assert {m.p for m in stack.modules() if isinstance(m, nn.Dropout)} == {0.1}
    one = nn.Transformer(8, 2, 1, 1)
    assert one.encoder.layers[0].linear1.out_features == 2048
    assert one.encoder.layers[0].linear1.bias is not None


def test_both_stacks_of_a_transformer_end_with_a_norm():
    for bias in (True, False):
        model = nn.Transformer(8, 2, 1, 1, 4, bias=bias, layer_norm_eps=0.3, dtype=F64)
        for norm in (model.encoder.norm, model.decoder.norm):
            assert norm.eps == 0.3
            assert (norm.bias is not None) == bias
        assert any("bias" in name for name in model.state_dict()) == bias
