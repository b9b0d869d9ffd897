"""What the five texts on attention that tinyattn began from describe, and where they are wrong.

D0 is a Seq2Seq with attention, D1 scaled dot-product attention, D2 a worked 3x2 example and two
listings, D3 a batched listing, D4 similarities and the sentence 我喜欢吃苹果. Each test states
what is right with its number, or runs what the text says and shows how it fails. Look first at
Encoder and AttentionDecoder: PyTorch's code, over another import line.
"""

import inspect
import math
import re

import numpy as np
import pytest

import tinyattn as torch
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn import gradcheck, gradcheck_module
from tinyattn.nn.utils import clip_grad_norm_
from tinyattn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from tinyattn.viz import attention_text

PAD, BOS, V, H, T = 0, 1, 7, 6, 4
SENTENCES = [[2, 5, 3, 6], [4, 2, 6], [5, 3]]  # longest first
f64 = torch.float64


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def near(tensor, expected, tolerance=1e-12):
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=0, atol=tolerance)


def double(values, requires_grad=False):
    return torch.tensor(values, dtype=f64, requires_grad=requires_grad)


def fails(*shapes):
    """An error that names both shapes or, for an elementwise operation, the sizes that differ."""
    both = ".*".join(re.escape(", ".join(map(str, s))) for s in shapes)
    return pytest.raises((RuntimeError, ValueError), match=both)


def random(*shape, requires_grad=False):
    return torch.randn(*shape, dtype=f64, requires_grad=requires_grad)


# D0: one sentence, one token at a time. Encoder outputs are (T, H), hidden states (1, 1, H).


class Encoder(nn.Module):
    def __init__(self, vocab_size, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size)

    def forward(self, token, hidden):
        return self.gru(self.embedding(token).view(1, 1, -1), hidden)


class AttentionDecoder(nn.Module):
    def __init__(self, hidden_size, vocab_size):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size)
        self.out = nn.Linear(2 * hidden_size, vocab_size)
        self.softmax = nn.Softmax(dim=-1)  # over the source

    def forward(self, token, hidden, encoder_outputs):
        embedded = self.embedding(token).view(1, 1, -1)
        weights = self.softmax(torch.matmul(hidden, encoder_outputs.transpose(0, 1)))
        context = torch.matmul(weights, encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), 2), hidden)
        return self.out(torch.cat((output, context), 2)), hidden, weights


class Copier(nn.Module):
    """Both, taught to say what they read: the summed loss of one sentence (T,) of token ids."""

    def __init__(self, vocab_size, hidden_size):
        super().__init__()
        self.encoder = Encoder(vocab_size, hidden_size)
        self.decoder = AttentionDecoder(hidden_size, vocab_size)

    def forward(self, sentence):
        weight = self.decoder.out.weight
        hidden = torch.zeros(1, 1, weight.shape[1] // 2, dtype=weight.dtype)
        outputs = torch.zeros(len(sentence), hidden.shape[2], dtype=weight.dtype)
        for i in range(len(sentence)):
            output, hidden = self.encoder(sentence[i], hidden)
            outputs[i] = output[0, 0]
        loss, token = 0.0, torch.tensor(1)
        for i in range(len(sentence)):
            logits, hidden, _ = self.decoder(token, hidden, outputs)
            loss = loss + nn.functional.cross_entropy(logits[0], sentence[i : i + 1])
            token = sentence[i]
        return loss


def batched_losses(model, sentences, padding=0):
    """The same for a batch, padding masked out of states, scores and loss: (B,)."""
    lengths = torch.tensor([len(s) for s in sentences])
    source = pad_sequence([torch.tensor(s) for s in sentences], padding_value=PAD)
    source = torch.cat((source, torch.zeros(padding, len(sentences), dtype=torch.int64)))
    packed = pack_padded_sequence(model.encoder.embedding(source), lengths)
    output, hidden = model.encoder.gru(packed)
    outputs = pad_packed_sequence(output, total_length=len(source))[0].transpose(0, 1)
    ignored = (source == PAD).t().unsqueeze(1)
    given = torch.cat((torch.full((1, len(sentences)), BOS), source[:-1]))
    losses = []
    for token, wanted in zip(given, source, strict=True):
        scores = torch.matmul(hidden.transpose(0, 1), outputs.transpose(1, 2))
        weights = F.softmax(scores.masked_fill(ignored, -math.inf), dim=-1)
        context = torch.matmul(weights, outputs).transpose(0, 1)
        embedded = model.decoder.embedding(token).unsqueeze(0)
        output, hidden = model.decoder.gru(torch.cat((embedded, context), 2), hidden)
        logits = model.decoder.out(torch.cat((output, context), 2))[0]
        losses.append(F.cross_entropy(logits, wanted, ignore_index=PAD, reduction="none"))
    return torch.stack(losses).sum(0)


def test_d0_decoder_with_the_listing_s_linear_does_not_run():
    output, _ = nn.GRU(2 * H, H)(torch.randn(1, 1, 2 * H))
    with fails([1, 1, H], [V, 2 * H]):
        nn.Linear(2 * H, V)(output)


def test_d0_outputs_stacked_over_time_die_in_the_product():
    outputs, _ = nn.GRU(H, H)(torch.randn(T, 1, H))
    assert outputs.shape == (T, 1, H)
    with fails([1, 1, H], [1, T, H]):
        torch.matmul(torch.randn(1, 1, H), outputs.transpose(0, 1))


def test_d0_softmax_over_dim_1_makes_every_weight_1():
    outputs, hidden = torch.randn(T, H), torch.randn(1, 1, H)
    scores = torch.matmul(hidden, outputs.transpose(0, 1))
    assert scores.shape == (1, 1, T)
    near(nn.Softmax(dim=1)(scores), np.ones((1, 1, T)))
    near(torch.matmul(nn.Softmax(dim=1)(scores), outputs)[0, 0], outputs.sum(0).numpy(), 1e-5)
    weights = nn.Softmax(dim=-1)(scores)
    near(weights.sum(-1), [[1]], 1e-6)
    assert weights.argmax() == scores.argmax()
    assert weights.std() > 0


def test_d0_corrected_learns_to_copy():
    model = Copier(V, 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    totals = []
    for _ in range(60):
        losses = [model(torch.tensor(s)) / len(s) for s in SENTENCES]
        loss = sum(losses) / len(losses)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        totals.append(loss.item())
    assert abs(totals[0] - math.log(V)) < 0.3
    assert totals[-1] < 0.1


@pytest.mark.parametrize("padding", [0, 3])
def test_d0_one_token_at_a_time_is_the_padded_batch_with_a_mask(padding):
    model = Copier(V, H).double()
    one_by_one = [model(torch.tensor(s)) for s in SENTENCES]
    batch = batched_losses(model, SENTENCES, padding)
    near(batch, [loss.item() for loss in one_by_one])
    sum(one_by_one).backward()
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    batch.sum().backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        near(parameter.grad, gradient)


def test_d0_without_a_mask_padding_takes_weight():
    outputs = torch.cat((random(2, H), torch.zeros(2, H, dtype=f64)))
    scores = torch.matmul(random(1, H), outputs.transpose(0, 1))
    assert F.softmax(scores, dim=-1)[0, 2:].sum() > 0
    padding = torch.tensor([False, False, True, True])
    near(F.softmax(scores.masked_fill(padding, -math.inf), dim=-1)[0, 2:], [0, 0])


def test_d0_gradients():
    model = Copier(V, H).double()
    assert gradcheck_module(model, torch.tensor(SENTENCES[1]), samples=12)
    assert gradcheck_module(
        model.decoder, (torch.tensor(2), random(1, 1, H), random(T, H)), lambda out: out[0]
    )


def test_d0_code_and_weights_run_in_pytorch_after_the_import_line_is_changed():
    pytorch = pytest.importorskip("torch", reason="PyTorch is not installed")
    there = {"torch": pytorch, "nn": pytorch.nn}
    for part in (Encoder, AttentionDecoder, Copier):
        exec(inspect.getsource(part), there)
    ours, theirs = Copier(V, H).double(), there["Copier"](V, H).double()
    ours.load_state_dict(theirs.state_dict())
    for sentence in SENTENCES:
        mine, other = ours(torch.tensor(sentence)), theirs(pytorch.tensor(sentence))
        mine.backward()
        other.backward()
        near(mine, other.item())
    for parameter, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        near(parameter.grad, reference.grad.numpy())


# Weights, context, scores (D0 §3, D2 §3.2, D4 §3.3)


def test_weights_and_context_by_hand():
    weights = F.softmax(double([0, math.log(2), math.log(5)]), dim=0)
    near(weights, [1 / 8, 2 / 8, 5 / 8])
    near(weights @ double([[8, 0], [0, 8], [16, 8]]), [11, 7])


def test_score_functions_by_hand():
    query, keys = double([[1, 2]]), double([[3, 0], [-1, 1], [0, 2]])
    near(query @ keys.T, [[3, 1, 4]])
    energy = double([[2], [1]])  # additive: v . tanh(W q + U k), here W = I, U = 2 I
    near((torch.tanh(query + 2 * keys) @ energy)[0, 0], 2 * math.tanh(7) + math.tanh(2))
    assert gradcheck(
        lambda q, k, v: F.softmax((torch.tanh(q + k) @ v).T, dim=-1) @ k,
        (random(1, 3, requires_grad=True), random(4, 3, requires_grad=True),
         random(3, 1, requires_grad=True)),
    )  # fmt: skip


def test_a_gru_step_by_hand():
    gru = nn.GRU(1, 1, bias=False).double()
    gru.load_state_dict({"weight_ih_l0": [[1], [2], [3]], "weight_hh_l0": [[4], [-1], [2]]})
    x, h = 0.3, 0.2
    r, z = (1 / (1 + math.exp(-a)) for a in (x + 4 * h, 2 * x - h))
    n = math.tanh(3 * x + r * 2 * h)
    near(gru(double([[[x]]]), double([[[h]]]))[0], [[[(1 - z) * n + z * h]]])


# Scaled dot-product attention (D1, D2 §4.3, D3)


def attention(q, k, v, mask=None):
    """softmax(Q K^T / sqrt(d_k)) V and its weights; mask: True = attend."""
    scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(k.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = F.softmax(scores, dim=-1)
    return torch.matmul(weights, v), weights


def test_d1_without_its_imports_has_a_name_error():
    here = {"nn": nn}
    exec("def forward(q, k, v): return nn.Softmax(-1)(torch.matmul(q, k)) @ v", here)
    with pytest.raises(NameError, match="torch"):
        here["forward"](random(2, 2), random(2, 2), random(2, 2))


def test_d1_corrected_has_linear_maps_and_a_mask():
    class SelfAttention(nn.Module):
        def __init__(self, features):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(features, features) for _ in range(3))

        def forward(self, x, mask):
            return attention(self.query(x), self.key(x), self.value(x), mask)[0]

    module, x = SelfAttention(3).double(), random(2, T, 3, requires_grad=True)
    mask = torch.tensor([[True] * 4, [True, True, False, False]]).unsqueeze(1)
    near(module(x, mask)[1, :2], module(x[1:, :2], mask[1:, :, :2])[0].detach().numpy())
    assert gradcheck_module(module, (x, mask))


Q, K, VALUES = [[0, 1], [1, 0], [0, 1]], [[1, 0], [0, 1], [1, 1]], [[2, 0], [0, 2], [2, 2]]


def test_d2_worked_example_with_the_right_numbers():
    near(double(Q) @ double(K).T, [[0, 1, 1], [1, 0, 1], [0, 1, 1]])  # the text has ones only
    e = math.exp(1 / math.sqrt(2))
    output, weights = attention(double(Q), double(K), double(VALUES))
    total = 1 + 2 * e
    rows = [[1, e, e], [e, 1, e], [1, e, e]]
    near(weights, np.array(rows) / total)
    near(F.softmax(torch.ones(3, 3, dtype=f64), dim=-1), np.full((3, 3), 1 / 3))  # never 0.5
    near(output, np.array([[2 + 2 * e, 4 * e], [4 * e, 2 + 2 * e], [2 + 2 * e, 4 * e]]) / total)
    with fails([3, 2], [3, 2]):
        output @ double(VALUES)  # the text multiplies by V again
    assert gradcheck(attention, tuple(double(x, requires_grad=True) for x in (Q, K, VALUES)))


def test_d2_first_listing_scores_each_position_with_itself_only_and_fails():
    scores = (double(Q) * double(K)).sum(1)
    near(scores, [0, 0, 1])
    near(scores, (double(Q) @ double(K).T).numpy().diagonal())
    weights = F.softmax(scores, dim=0)
    near(weights, np.array([1, 1, math.e]) / (2 + math.e))  # the text prints 0.5 three times
    with fails([3], [2]):
        weights * double(VALUES)


def test_d2_9_4_sums_the_representation_away():
    q, k = random(3, 1), random(3, 1)
    v = random(3, 3)
    output, mirrored = attention(q, k, v)[0], attention(q, k, v.flip(1))[0]
    assert output.shape == (3, 3)
    assert output.sum(1).shape == (3,)
    assert (output - mirrored).abs().max() > 0.1  # other features, yet the sums can't tell
    near(output.sum(1), mirrored.sum(1).numpy())


def test_d2_second_listing_multiplies_shapes_that_do_not_match():
    with fails([3, 1], [5, 3]):
        torch.matmul(torch.randn(3, 1), torch.randn(3, 5).transpose(0, 1))
    assert attention(torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 5))[0].shape == (3, 5)


def test_d3_scale_by_the_number_of_keys_changes_with_the_sentence():
    def ratio(keys, scale):
        weights = F.softmax(query @ keys.T / math.sqrt(scale), dim=-1)[0]
        return (weights[0] / weights[1]).item()

    query, keys = random(1, 8), random(3, 8)
    longer = torch.cat((keys, random(9, 8)))
    assert ratio(keys, 8) == pytest.approx(ratio(longer, 8))  # two words' relation is theirs alone
    assert ratio(keys, len(keys)) != pytest.approx(ratio(longer, len(longer)), rel=0.05)


def test_d3_product_elementwise_fails_or_is_something_else():
    q, k, v = random(2, T, 8), random(2, T, 8), random(2, T, 8)
    output, weights = attention(q, k, v)
    with fails([T], [8]):
        weights * v
    near(output[1, 2], sum(weights[1, 2, i] * v[1, i] for i in range(T)).numpy())
    square = (weights * v[:, :, :T]).sum(1)  # runs where Tk = D, and has lost the queries
    assert square.shape == (2, T)
    assert output.shape == (2, T, 8)


# Similarities and the sentence (D4)


def cosine(q, k):
    return (q @ k.T) / (q.norm(dim=-1, keepdim=True) * k.norm(dim=-1))


@pytest.mark.parametrize("n", [2, 5, 50])
def test_d4_cosine_without_a_temperature_cannot_be_sharp(n):
    bound = math.e**2 / (n - 1 + math.e**2)
    query, keys = double([[3, 4]]), double([[6, 8]] + [[-3, -4]] * (n - 1))  # the best case
    near(F.softmax(cosine(query, keys), dim=-1)[0, 0], bound)
    assert F.softmax(cosine(random(40, 3), random(n, 3)), dim=-1).max() <= bound
    assert F.softmax(cosine(query, keys) / 0.1, dim=-1)[0, 0] > 0.99
    assert bound < 0.89


def test_d4_how_much_each_word_relates_to_like():
    words = ["我", "喜欢", "吃", "苹果"]
    embedding = nn.Embedding(4, 2).double()
    embedding.load_state_dict({"weight": [[1, 0], [0, 1], [1, 1], [1, -1]]})
    x = embedding(torch.arange(4))
    q, k, v = x + double([1, 0]), x + double([0, 1]), x + double([1, 1])
    output, weights = attention(q[1:2], k, v)
    a, b, c = (math.exp(s / math.sqrt(2)) for s in (1, 2, 3))  # q . k = 2, 2, 3, 1
    expected = np.array([b, b, c, a]) / (a + 2 * b + c)
    near(weights, [expected])
    near(weights.sum(), 1)
    assert words[weights.argmax()] == "吃"
    near(output, [expected @ [[2, 1], [1, 2], [2, 2], [2, 0]]])
    near(cosine(q[1:2], k), [[1, 1 / math.sqrt(2), 3 / math.sqrt(10), 1 / math.sqrt(2)]])
    assert gradcheck(attention, tuple(t.detach().requires_grad_() for t in (q, k, v)))
    assert gradcheck(cosine, tuple(t.detach().requires_grad_() for t in (q, k)))
    assert attention_text(weights.detach().numpy(), words, ["喜欢"]).count("\n") == 1


# Regularisation and optimisers (D1 Q3, D2 §3.3, D4 Q20-Q27)


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    dropout, x = nn.Dropout(0.25), torch.ones(20_000)
    out = dropout(x)
    near(out[out != 0], 4 / 3, 1e-6)
    assert abs(out.mean().item() - 1) < 0.02
    near(dropout.eval()(x), x.numpy())


def test_clipping_shortens_the_gradient_and_keeps_its_direction():
    parameter = nn.Parameter(torch.zeros(2))
    (parameter * torch.tensor([30.0, 40.0])).sum().backward()
    assert clip_grad_norm_([parameter], 5.0).item() == pytest.approx(50)
    near(parameter.grad, [3, 4], 1e-5)
    clip_grad_norm_([parameter], 10.0)
    near(parameter.grad, [3, 4], 1e-5)


def test_initialisation_keeps_the_variance():
    weight = nn.init.xavier_uniform_(torch.empty(300, 500))
    assert weight.abs().max() <= math.sqrt(6 / 800)
    assert weight.var().item() == pytest.approx(2 / 800, rel=0.05)
    assert max(p.abs().max().item() for p in nn.GRU(3, 16).parameters()) <= 1 / 4


def test_weight_decay_is_the_l2_penalty_and_l1_is_a_sum_of_absolute_values():
    decayed, penalised = (nn.Parameter(double([2, -4])) for _ in range(2))
    decay = torch.optim.SGD([decayed], lr=0.1, weight_decay=0.5)
    plain = torch.optim.SGD([penalised], lr=0.1)
    decayed.sum().backward()
    (penalised.sum() + 0.5 / 2 * (penalised * penalised).sum()).backward()
    decay.step()
    plain.step()
    near(decayed, [2 - 0.1 * (1 + 0.5 * 2), -4 - 0.1 * (1 - 0.5 * 4)])
    near(penalised, decayed.detach().numpy())
    weight = double([2, -4], requires_grad=True)
    weight.abs().sum().backward()
    near(weight.grad, [1, -1])


def test_one_step_of_gradient_descent_and_two_of_adam_by_hand():
    point, other = (nn.Parameter(double([1.0])) for _ in range(2))
    descent, adam = torch.optim.SGD([point], lr=0.1), torch.optim.Adam([other], lr=0.1, eps=0.0)
    (3 * point).sum().backward()
    descent.step()
    near(point, [0.7])
    for gradient in (3, -1):
        adam.zero_grad()
        (gradient * other).sum().backward()
        adam.step()  # the first goes 0.1 down: m / sqrt(v) = 1
    mean = (0.9 * 0.1 * 3 - 0.1) / (1 - 0.9**2)
    square = (0.999 * 0.001 * 9 + 0.001) / (1 - 0.999**2)
    near(other, [0.9 - 0.1 * mean / math.sqrt(square)])
