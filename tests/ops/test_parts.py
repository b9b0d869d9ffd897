"""With dropout, the rows of a part of a batch have the numbers that they have in the whole."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
import tinyattn.nn.functional as F
from tinyattn import nn
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from tinyattn.ops import parts

B, T, H = 5, 4, 6
LENGTHS = np.array([2, 4, 1, 4, 3])


@contextlib.contextmanager
def part(rows: range, dim: int = 0, lengths: Any = LENGTHS, total: int = B) -> Iterator[None]:
    parts.local.part = parts.Part(rows, total, dim, lengths)
    try:
        yield
    finally:
        parts.local.part = None


def recurrent(kind: Any, **options: Any) -> Callable[..., ta.Tensor]:
    ta.manual_seed(0)
    layers = kind(H, H, 3, dropout=0.4, batch_first=True, **options).double()
    return lambda x, lengths: layers(x)[0]


def packed(kind: Any, sort: bool) -> Callable[..., ta.Tensor]:
    ta.manual_seed(0)
    layers = kind(H, H, 2, dropout=0.4, bidirectional=True).double()

    def compute(x: ta.Tensor, lengths: Any) -> ta.Tensor:
        rows = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=sort)
        return pad_packed_sequence(layers(rows)[0], batch_first=True, total_length=T)[0]

    return compute


def heads(**options: Any) -> Callable[..., ta.Tensor]:
    ta.manual_seed(0)
    attention = nn.MultiheadAttention(H, 2, 0.4, batch_first=True).double()
    return lambda x, lengths: attention(x, x, x, **options)[0]


def layer(batch_first: bool) -> Callable[..., ta.Tensor]:
    ta.manual_seed(0)
    made = nn.TransformerEncoderLayer(H, 2, 8, 0.3, batch_first=batch_first).double()
    if batch_first:
        return lambda x, lengths: made(x)
    return lambda x, lengths: made(x.transpose(0, 1)).transpose(0, 1)


def split(x: ta.Tensor, *sizes: int) -> ta.Tensor:
    return x.reshape(len(x), *sizes)


# What the batch is in tensors that dropout is given, and x (B, T, H), lengths (B,) -> (B, ...)
LAYOUTS: dict[str, tuple[int, Callable[..., ta.Tensor]]] = {
    "(B, T, H)": (0, lambda x, lengths: F.dropout(x, 0.4)),
    "in place": (0, lambda x, lengths: F.dropout(x * 1, 0.4, inplace=True)),
    "(T, B, H)": (1, lambda x, lengths: F.dropout(x.transpose(0, 1), 0.4).transpose(0, 1)),
    "(T, H, B)": (2, lambda x, lengths: F.dropout(x.permute(1, 2, 0), 0.4).permute(2, 0, 1)),
    "one after another": (0, lambda x, lengths: F.dropout(F.dropout(x, 0.3), 0.3)),
    "GRU": (0, recurrent(nn.GRU)),
    "LSTM": (0, recurrent(nn.LSTM, bidirectional=True)),
    "RNN": (0, recurrent(nn.RNN)),
    "packed GRU": (0, packed(nn.GRU, False)),
    "packed LSTM": (0, packed(nn.LSTM, False)),
    "weights": (0, lambda x, lengths: F.attention(x, x, x, F.scores["dot"], None, 0.4, True)[0]),
    "scaled dot": (0, lambda x, lengths: F.scaled_dot_product_attention(x, x, x, None, 0.4)),
    "axes before": (
        0,
        lambda x, lengths: F.scaled_dot_product_attention(
            *[split(x, 2, 1, 2, H)] * 3, dropout_p=0.4
        ),
    ),
    "shared heads": (
        0,
        lambda x, lengths: F.scaled_dot_product_attention(
            split(x, 4, 2, 3), *[split(x, 4, 2, 3)[:, :2]] * 2, dropout_p=0.4, enable_gqa=True
        ),
    ),
    "heads": (0, heads(need_weights=False)),
    "heads with weights": (0, heads()),
    "Transformer, (B, T, H)": (0, layer(True)),
    "Transformer, (T, B, H)": (1, layer(False)),
}


def run(compute: Any, x: Any, lengths: Any, *where: Any) -> tuple[Any, ...]:
    """The output, the gradient at x, and where the random numbers stand."""
    ta.manual_seed(7)
    given = ta.tensor(x, requires_grad=True)
    with part(*where) if where else contextlib.nullcontext():
        output = compute(given, lengths)
    cotangent = np.cos(np.arange(output.numel() // len(x))).reshape(output.shape[1:])
    (output * ta.tensor(cotangent)).sum().backward()
    return output.detach().numpy(), given.grad.numpy(), ta.get_rng_state().tolist()


@pytest.mark.parametrize("ranks", [2, 3, 7])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_part_has_the_numbers_of_the_whole(name: str, ranks: int) -> None:
    dim, compute = LAYOUTS[name]
    x = np.random.default_rng(1).normal(size=(B, T, H))
    output, gradient, after = run(compute, x, LENGTHS)
    assert not np.allclose(output, run(compute, x[::-1], LENGTHS[::-1])[0][::-1])  # it drops
    for rank in range(ranks):
        rows = range(rank, B, ranks) or range(1)
        at = list(rows)
        found = run(compute, x[at], LENGTHS[at], rows, dim)
        np.testing.assert_allclose(found[0], output[at], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found[1], gradient[at], rtol=1e-12, atol=1e-14)
        assert found[2] == after


def test_packed_sequences_that_are_sorted_already() -> None:
    compute, lengths = packed(nn.GRU, True), np.sort(LENGTHS)[::-1]
    x = np.random.default_rng(1).normal(size=(B, T, H))
    output, _, after = run(compute, x, lengths)
    for rank in range(2):
        rows = range(rank, B, 2)
        found = run(compute, x[rows], lengths[rows], rows, 0, lengths)
        np.testing.assert_allclose(found[0], output[rows], rtol=1e-12)
        assert found[2] == after


def test_a_part_without_rows_draws_what_the_whole_draws() -> None:
    ta.manual_seed(7)
    F.dropout(ta.ones(B, 3), 0.5)
    after = ta.get_rng_state().tolist()
    ta.manual_seed(7)
    with part(range(0)):
        assert F.dropout(ta.ones(0, 3), 0.5).shape == (0, 3)
    assert ta.get_rng_state().tolist() == after


def test_without_dropout_nothing_is_asked_for() -> None:
    x = ta.ones(3, 3)
    with part(range(2)):
        assert F.dropout(x, 0.0) is x
        assert F.dropout(x, 0.5, training=False) is x
        F.attention(x, x, x, "additive", v=ta.ones(3))
        F.scaled_dot_product_attention(x, x, x)


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda x: F.dropout(x, 0.5), "expected the 2 rows of part_of_batch in dimension 1, got a "
         r"tensor \[2, 3, 6\]"),
        (lambda x: F.dropout(ta.ones(2), 0.5), r"in dimension 1, got a tensor \[2\]"),
        (lambda x: nn.GRU(6, 6, 2, dropout=0.5)(x), r"in dimension 1, got a tensor \[2, 3, 6\]"),
        (lambda x: F.scaled_dot_product_attention(x[0], x[0], x[0], dropout_p=0.5),
         r"attention of the 2 rows of part_of_batch, got weights \[3, 3\] of one sequence"),
        (lambda x: F.attention(x[0], x[0], x[0], "cosine", dropout_p=0.5), "of one sequence"),
        (lambda x: F.attention(*[x.transpose(0, 1)] * 3, "cosine", dropout_p=0.5),
         r"in dimension 0, got a tensor \[3, 2, 2\]"),
        (lambda x: nn.GRU(6, 6, 2, dropout=0.5)(pack_padded_sequence(x, [2, 1, 1])),
         r"the lengths that part_of_batch says, \[2, 2\], got batch_sizes \[3, 1\]"),
        (lambda x: nn.GRU(6, 6, 2, dropout=0.5)(pack_padded_sequence(x[:, :2], [2, 1])),
         r"says, \[2, 2\], got batch_sizes \[2, 1\]"),
    ],
)  # fmt: skip
def test_tensors_that_are_no_part_are_refused(compute: Any, says: str) -> None:
    with part(range(0, 4, 2), 1, np.array([2, 2, 2, 1])), pytest.raises(RuntimeError, match=says):
        compute(ta.ones(2, 3, 6))


def test_packed_sequences_need_the_lengths_of_all() -> None:
    layers = nn.GRU(6, 6, 2, dropout=0.5)
    given = pack_padded_sequence(ta.ones(2, 2, 6), [2, 1])
    with (
        part(range(2), 1, None),
        pytest.raises(RuntimeError, match=r"packed sequences need part_of_batch\(..., lengths="),
    ):
        layers(given)
