"""What must not matter to a translator: padding, the order in a batch, the other sentences of a
batch, and whether a batch is computed in parts.

Read `Recurrent` and `Attending` (the two kinds of translator), then the tests as lessons. Numbers
are float64, so that what is equal but for rounding is equal to ROUNDING; the last part has what is
equal to the bit, the number of threads at its end.
"""

import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from tinyattn.text import PAD, batches, greedy
from tinyattn.text.vocab import BOS, EOS

V, H = 23, 16  # words of each language and hidden features, but where a test wants more
ROUNDING = {"rtol": 1e-10, "atol": 1e-13}


class Recurrent(nn.Module):
    """A GRU or an LSTM reads the source without its padding; another looks back at each step."""

    def __init__(self, kind: Callable[..., nn.Module], V: int, H: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.source = nn.Embedding(V, H, padding_idx=PAD)
        self.target = nn.Embedding(V, H, padding_idx=PAD)
        self.encoder = kind(H, H, bidirectional=True)
        self.decoder = kind(H, 2 * H, num_layers=1)
        self.out = nn.Linear(4 * H, V)

    def encode(self, source: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """source (B, Ts): the memory (B, Ts, 2H), what is padding (B, 1, Ts), the first state."""
        packed = pack_padded_sequence(
            self.dropout(self.source(source.t())), lengths, enforce_sorted=False
        )
        output, state = self.encoder(packed)
        memory = pad_packed_sequence(output, total_length=source.shape[1])[0].transpose(0, 1)
        both = [ta.cat([s[0], s[1]], 1).unsqueeze(0) for s in _parts(state)]
        return memory, (source == PAD).unsqueeze(1), both[0] if len(both) == 1 else tuple(both)

    def decode(self, target: Any, state: Any, memory: Any, padding: Any) -> tuple[Any, Any]:
        """target (B, Tt): scores (B, Tt, V) of the next words, and the last state."""
        output, state = self.decoder(self.dropout(self.target(target.t())), state)
        query = output.transpose(0, 1)
        scores = (query @ memory.transpose(1, 2)).masked_fill(padding, -math.inf)
        context = F.softmax(scores, dim=-1) @ memory
        return self.out(ta.cat([query, context], 2)), state

    def forward(self, source: Any, lengths: Any, target: Any) -> Any:
        memory, padding, state = self.encode(source, lengths)
        return self.decode(target, state, memory, padding)[0]

    def start(self, source: Any, lengths: Any) -> Any:
        return self.encode(source, lengths)

    def step(self, tokens: Any, carried: Any) -> tuple[Any, Any, Any]:
        """One word of a translation: what `greedy` asks for."""
        memory, padding, state = carried
        scores, state = self.decode(tokens.unsqueeze(1), state, memory, padding)
        return scores.squeeze(1), ta.zeros(len(tokens), 1), (memory, padding, state)


def _parts(state: Any) -> tuple[Any, ...]:
    return state if isinstance(state, tuple) else (state,)


class Attending(nn.Module):
    """A Transformer: attention alone, with masks for padding and for words still to be written."""

    def __init__(self, norm_first: bool, V: int, H: int, dropout: float) -> None:
        super().__init__()
        self.source = nn.Embedding(V, H, padding_idx=PAD)
        self.target = nn.Embedding(V, H, padding_idx=PAD)
        self.position = nn.SinusoidalPositions(H, batch_first=True)
        self.transformer = nn.Transformer(
            H, 2, 2, 2, 2 * H, dropout, batch_first=True, norm_first=norm_first
        )
        self.out = nn.Linear(H, V)

    def forward(self, source: Any, lengths: Any, target: Any) -> Any:
        T = target.shape[1]
        return self.out(
            self.transformer(
                self.position(self.source(source)),
                self.position(self.target(target)),
                tgt_mask=ta.ones(T, T, dtype=ta.bool).triu(1),
                src_key_padding_mask=source == PAD,
                tgt_key_padding_mask=target == PAD,
                memory_key_padding_mask=source == PAD,
            )
        )

    def start(self, source: Any, lengths: Any) -> Any:
        return source, lengths, ta.zeros(len(source), 0, dtype=ta.int64)

    def step(self, tokens: Any, carried: Any) -> tuple[Any, Any, Any]:
        source, lengths, target = carried
        target = ta.cat([target, tokens.unsqueeze(1)], 1)
        scores = self(source, lengths, target)[:, -1]
        return scores, ta.zeros(len(tokens), 1), (source, lengths, target)


MODELS: dict[str, Callable[..., Any]] = {
    "GRU": partial(Recurrent, nn.GRU),
    "LSTM": partial(Recurrent, nn.LSTM),
    "Transformer": partial(Attending, False),
    "Transformer, norm first": partial(Attending, True),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: Any) -> Any:
    ta.manual_seed(3)
    return MODELS[request.param](V, H, dropout=0.0).double()


# --- what is compared -----------------------------------------------------------------------------


def sentences(count: int = 9, longest: int = 8, V: int = V) -> list[tuple[list[int], list[int]]]:
    """Pairs of unequal lengths, as ids."""
    r = np.random.default_rng(4)
    sizes = r.integers(1, longest + 1, (count, 2))
    return [(list(r.integers(EOS + 1, V, s)), list(r.integers(EOS + 1, V, t))) for s, t in sizes]


@dataclass
class Padded:
    """B pairs in the order given, filled up with PAD, and with `more` columns of it."""

    source: np.ndarray
    lengths: np.ndarray
    target_in: np.ndarray
    target_out: np.ndarray


def padded(pairs: Any, more: int = 0) -> Padded:
    def fill(rows: Any) -> np.ndarray:
        width = max(map(len, rows)) + more
        return np.array([[*row, *[PAD] * (width - len(row))] for row in rows])

    return Padded(
        fill([s for s, _ in pairs]),
        np.array([len(s) for s, _ in pairs]),
        fill([[BOS, *t] for _, t in pairs]),
        fill([[*t, EOS] for _, t in pairs]),
    )


def losses(model: Any, batch: Any) -> Any:
    """The cross-entropy of each pair, summed over its words: (B,)."""
    arrays = (batch.source, batch.lengths, batch.target_in)
    scores = model(*map(ta.from_numpy, arrays))
    gold = ta.from_numpy(batch.target_out)
    flat = F.cross_entropy(scores.flatten(0, 1), gold.flatten(), ignore_index=PAD, reduction="none")
    return flat.reshape(gold.shape).sum(1)


def values(model: Any, batch: Any) -> np.ndarray:
    return losses(model, batch).detach().numpy()


def gradients(model: Any, *parts: Any) -> dict[str, np.ndarray]:
    """Those of the summed loss of all parts, each with a backward pass of its own."""
    model.zero_grad()
    for batch in parts:
        losses(model, batch).sum().backward()
    return {name: param.grad.numpy().copy() for name, param in model.named_parameters()}


def translations(model: Any, batch: Any) -> list[list[int]]:
    with ta.no_grad():
        state = model.start(ta.from_numpy(batch.source), ta.from_numpy(batch.lengths))
    return [found.ids for found in greedy(model.step, state, batch.lengths, 0, 12)]


def close(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], **ROUNDING, err_msg=name)


def test_the_comparison_would_notice(model: Any) -> None:
    """The yardstick: sentences, losses, gradients and translations do differ among themselves."""
    pairs = sentences()
    each = values(model, padded(pairs))
    assert len({round(loss, 6) for loss in each}) == len(pairs)
    assert len(set(map(tuple, translations(model, padded(pairs))))) > 1
    with pytest.raises(AssertionError):
        close(gradients(model, padded(pairs)), gradients(model, padded(pairs[:-1])))
    assert all(np.abs(g).max() > 0 for g in gradients(model, padded(pairs)).values())


# --- the lessons ----------------------------------------------------------------------------------


def test_more_padding_changes_nothing(model: Any) -> None:
    """Padding reaches no state, no attention and no loss."""
    pairs = sentences()
    tight, wide = padded(pairs), padded(pairs, more=5)
    a, b = values(model, tight), values(model, wide)
    np.testing.assert_allclose(a, b, **ROUNDING)
    close(gradients(model, tight), gradients(model, wide))
    assert translations(model, tight) == translations(model, wide)


def test_the_order_in_a_batch_does_not_matter(model: Any) -> None:
    """Each pair keeps its loss and its translation; the gradient adds the same terms."""
    pairs = sentences()
    order = np.random.default_rng(5).permutation(len(pairs))
    before, after = padded(pairs), padded([pairs[i] for i in order])
    a, b = values(model, before), values(model, after)
    np.testing.assert_allclose(a[order], b, **ROUNDING)
    close(gradients(model, before), gradients(model, after))
    first, second = translations(model, before), translations(model, after)
    assert [first[i] for i in order] == second


def test_alone_or_in_a_batch_is_the_same(model: Any) -> None:
    """A batch is for speed only: no sentence sees its neighbours."""
    pairs = sentences()
    together, alone = padded(pairs), [padded([pair]) for pair in pairs]
    each = np.concatenate([values(model, one) for one in alone])
    np.testing.assert_allclose(values(model, together), each, **ROUNDING)
    close(gradients(model, together), gradients(model, *alone))
    assert translations(model, together) == [translations(model, one)[0] for one in alone]


@pytest.mark.parametrize("cut", [1, 4])
def test_a_batch_in_two_parts_gives_the_same_step(model: Any, cut: int) -> None:
    """Where memory is short: gradients add up over backward passes. The mean over words must be
    taken over those of both parts; two means of parts of unequal size are not the mean."""
    pairs = sentences()
    whole, parts = padded(pairs), (padded(pairs[:cut]), padded(pairs[cut:]))
    close(gradients(model, whole), gradients(model, *parts))


def test_batches_by_length_are_the_same_pairs(model: Any) -> None:
    """`batches` sorts and groups: the loss of an epoch is that of its pairs, one by one."""
    pairs = sentences()
    each = values(model, padded(pairs))
    for batch in batches(pairs, 4, seed=0):
        found = values(model, batch)
        np.testing.assert_allclose(found, each[batch.index], **ROUNDING)


# --- to the bit -----------------------------------------------------------------------------------


def test_the_same_batch_twice_is_the_same_to_the_bit(model: Any) -> None:
    first, second = (gradients(model, padded(sentences())) for _ in range(2))
    assert all((first[name] == second[name]).all() for name in first)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_padding_is_no_part_of_a_packed_sequence(kind: Any) -> None:
    """The same numbers enter the same kernel: states and gradients are the same to the bit."""
    ta.manual_seed(0)
    rnn = kind(H, H)
    lengths = ta.tensor([5, 3, 1])
    x = ta.randn(9, 3, H)
    found = []
    for T in (5, 9):
        rnn.zero_grad()
        output, _ = rnn(pack_padded_sequence(x[:T], lengths))
        output.data.square().sum().backward()
        found.append([output.data, *(param.grad for param in rnn.parameters())])
    assert all((a == b).all() for a, b in zip(*found, strict=True))


@pytest.mark.skipif("native" not in ta.available_backends(), reason="the C core is not there")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [ta.float32, ta.float64])
def test_where_a_pair_stands_changes_no_bit_of_its_loss(name: str, dtype: Any) -> None:
    """A row of a product is added up in the same order wherever it stands. (The gradient is not:
    it is a sum over the batch.)"""
    ta.manual_seed(3)
    model = MODELS[name](300, 64, dropout=0.0).to(dtype)
    pairs = sentences(45, 20, 300)
    order = np.random.default_rng(5).permutation(len(pairs))
    with ta.use_backend("native"):
        before = values(model, padded(pairs))
        after = values(model, padded([pairs[i] for i in order]))
    assert (before[order] == after).all()


def trained() -> dict[str, str]:
    """The digest of each kind of translator after some steps with dropout, Adam and clipping."""
    digests = {}
    for name, make in MODELS.items():
        ta.manual_seed(7)
        model = make(300, 64, dropout=0.1)
        optimizer = ta.optim.Adam(model.parameters(), lr=0.003)
        for batch in islice(batches(sentences(100, 20, 300), 32, seed=1), 3):
            optimizer.zero_grad()
            losses(model, batch).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        content = b"".join(param.detach().numpy().tobytes() for param in model.parameters())
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def trained_with(threads: int, backend: str) -> dict[str, str]:
    """The same in a process of its own."""
    program = (
        "import json, tinyattn as ta, test_invariances\n"
        f"assert ta.get_num_threads() == {threads}\n"
        "print(json.dumps(test_invariances.trained()))"
    )
    folders = [str(Path(ta.__file__).parents[1]), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(folders),
            "TINYATTN_NUM_THREADS": str(threads),
            "TINYATTN_BACKEND": backend,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif("native" not in ta.available_backends(), reason="the C core is not there")
def test_training_is_to_the_bit_the_same_for_any_number_of_threads() -> None:
    """Work is cut by its shape, never by how many share it; random numbers come from one stream."""
    one = trained_with(1, "native")
    assert len(set(one.values())) == len(MODELS)
    for threads in (2, 3, 8):
        assert trained_with(threads, "native") == one
