"""A translator trained for 200 steps from the same weights, here and in PyTorch: the same losses.

The model is written once, over a library `lib` that is either of the two.
"""

import math

import numpy as np
import pytest

import tinyattn as ta

torch = pytest.importorskip("torch", reason="PyTorch is not installed: no comparison with it")

V, D, H, B, TS, TT = 13, 8, 12, 6, 7, 5


@pytest.fixture(autouse=True)
def one_thread():
    """The sizes are far too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def translator(lib):
    nn = lib.nn

    class Seq2Seq(nn.Module):
        """A GRU encoder over packed sequences, a GRU decoder with masked dot attention."""

        def __init__(self):
            super().__init__()
            self.source = nn.Embedding(V, D, padding_idx=0)
            self.target = nn.Embedding(V, D, padding_idx=0)
            self.encoder = nn.GRU(D, H // 2, bidirectional=True, batch_first=True)
            self.decoder = nn.GRU(D + H, H, batch_first=True, num_layers=1)
            self.bridge = nn.Linear(H, H)
            self.out = nn.Linear(2 * H, V)

        def forward(self, source, lengths, target):
            pack, pad = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence
            packed = pack(self.source(source), lengths, batch_first=True, enforce_sorted=False)
            output, h_n = self.encoder(packed)
            memory, _ = pad(output, batch_first=True)
            hidden = lib.tanh(self.bridge(lib.cat([h_n[0], h_n[1]], dim=1))).unsqueeze(0)
            words = self.target(target)
            ignore = (source == 0).unsqueeze(1)
            logits = []
            for t in range(TT):
                query = hidden[-1].unsqueeze(1)
                scores = lib.matmul(query, memory.transpose(1, 2)) / math.sqrt(H)
                weights = nn.functional.softmax(scores.masked_fill(ignore, -math.inf), dim=-1)
                context = lib.matmul(weights, memory)
                output, hidden = self.decoder(lib.cat([words[:, t : t + 1], context], 2), hidden)
                logits.append(self.out(lib.cat([output, context], dim=2)))
            return lib.cat(logits, dim=1)

    return Seq2Seq()


def batches(steps):
    rng = np.random.default_rng(0)
    for _ in range(steps):
        source = rng.integers(1, V, (B, TS))
        lengths = rng.integers(2, TS + 1, B)
        lengths[0] = TS
        source[np.arange(TS) >= lengths[:, None]] = 0
        target = (source[:, : TT + 1] * 5 + 3) % V
        yield source, lengths, target


def losses(lib, model, optimizer, steps):
    criterion = lib.nn.CrossEntropyLoss(ignore_index=0, label_smoothing=0.1)
    found = []
    for source, lengths, target in batches(steps):
        given, wanted = target[:, :TT], target[:, 1:]
        logits = model(lib.tensor(source), lengths.tolist(), lib.tensor(given))
        loss = criterion(logits.reshape(-1, V), lib.tensor(wanted.reshape(-1)))
        optimizer.zero_grad()
        loss.backward()
        lib.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        found.append(loss.item())
    return np.array(found)


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("Adam", {"lr": 1e-2}), ("SGD", {"lr": 0.3, "momentum": 0.9, "weight_decay": 1e-4})],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)])
def test_200_steps_give_the_losses_of_pytorch(dtype, tolerance, optimizer, options):
    ta.manual_seed(0)
    ours = translator(ta).to(dtype)
    theirs = translator(torch).to(getattr(torch, dtype))
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    mine = getattr(ta.optim, optimizer)(ours.parameters(), **options)
    other = getattr(torch.optim, optimizer)(theirs.parameters(), **options)
    here, there = losses(ta, ours, mine, 200), losses(torch, theirs, other, 200)
    assert here[-20:].mean() < 0.9 * here[:20].mean()
    np.testing.assert_allclose(here, there, rtol=0, atol=tolerance)
