"""The doctor finds what a sick model has, names the place, and finds nothing in a healthy one."""

import math
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn._doctor import (
    Finding,
    Report,
    _Attention,
    _Call,
    _change,
    _is_chain,
    _leads,
    _norm,
    _parameters,
    _roots,
    _stack,
    _Watch,
)
from tinyattn.nn import functional as F


@pytest.fixture(autouse=True)
def seed():
    ta.manual_seed(0)


def kinds(report):
    return {finding.what for finding in report.findings}


def of(report, what):
    return [(where, figure) for kind, where, figure in report.findings if kind == what]


def filled(param, value):
    with ta.no_grad():
        param.fill_(value)


class Translator(nn.Module):
    """A GRU encoder and an attention decoder: a loop over steps."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.encoder = nn.GRU(16, 24, batch_first=True)
        self.attention = nn.Attention("additive", 24)
        self.cell = nn.GRUCell(16 + 24, 24)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(24, 11)

    def forward(self, source, target, mask):
        memory, h = self.encoder(self.embed(source))
        h, steps = h[0], []
        for t in range(target.shape[1]):
            context = self.attention(h.unsqueeze(1), memory, memory, mask.unsqueeze(1))
            x = ta.cat([self.dropout(self.embed(target[:, t])), context.squeeze(1)], -1)
            h = self.cell(x, h)
            steps.append(self.out(h))
        return F.cross_entropy(ta.stack(steps, 1).reshape(-1, 11), target.reshape(-1))


def sentences(B=6, T=7):
    lengths = ta.tensor(np.arange(B) % T + 1)
    mask = ta.arange(T).unsqueeze(0) < lengths.unsqueeze(1)
    return ta.randint(0, 11, (B, T)), ta.randint(0, 11, (B, T)), mask


# Healthy


def test_a_healthy_translator_has_no_findings():
    model = Translator()
    with ta.no_grad():
        model.attention.v *= 3  # attends, as after some training
    report = ta.doctor(model, sentences())
    assert report.findings == []
    assert str(report).startswith("no findings")
    assert "gradient / weight" in str(report)
    names = {name for name, _ in model.named_parameters()}
    assert set(report.ratios) == names - {"attention.bias"}  # it is 0 still
    assert {"encoder.weight_hh_l0", "cell.weight_hh"} <= set(report.over_time)
    assert len(report.over_time["cell.weight_hh"]) == 7


@pytest.mark.parametrize(
    ("model", "batch"),
    [
        (nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(-1)), (64, 8)),
        (nn.LSTM(5, 6, num_layers=2, bidirectional=True), (8, 4, 5)),
        (nn.RNN(5, 6), (8, 4, 5)),
        (nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), (4, 6, 32)),
        (nn.Sequential(nn.Conv1d(3, 8, 3), nn.ReLU()), (4, 3, 20)),
    ],
)
def test_healthy_models_have_no_findings(model, batch):
    assert ta.doctor(model, ta.randn(*batch)).findings == []


# Sick


def test_parameters_that_no_gradient_reaches():
    model = Translator()
    model.forgotten = nn.Linear(2, 2)
    report = ta.doctor(model, sentences())
    assert ("forgotten.weight", "none reaches it") in of(report, "no gradient")
    filled(model.out.weight, 0.0)
    assert ("encoder.weight_ih_l0", "0 everywhere") in of(
        ta.doctor(model, sentences()), "no gradient"
    )


@pytest.mark.parametrize("functional", [False, True])
def test_dead_units(functional):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.relu, self.out = nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1)

        def forward(self, x):
            h = self.hidden(x)
            return self.out(F.relu(h) if functional else self.relu(h)).mean()

    model = Net()
    with ta.no_grad():
        model.hidden.bias[:3] = -100.0
    ((where, figure),) = of(ta.doctor(model, ta.randn(64, 4)), "dead units")
    assert where.startswith("Net (ReLU, test_doctor.py:" if functional else "relu (ReLU, ")
    assert figure == "3 of 16 are 0 in all of 64 rows"
    assert not of(ta.doctor(model, ta.randn(4, 4)), "dead units")  # too few rows to say
    filled(model.hidden.bias, -100.0)
    assert of(ta.doctor(model, ta.randn(4, 4)), "dead units")  # but not for all of them


def test_dead_channels_and_a_dead_recurrence():
    conv = nn.Sequential(nn.Conv1d(3, 8, 3), nn.ReLU())
    with ta.no_grad():
        conv[0].bias[1] = -100.0
    ((where, figure),) = of(ta.doctor(conv, ta.randn(2, 3, 20)), "dead units")
    assert where.startswith("1 (ReLU, ")
    assert figure == "1 of 8 are 0 in all of 36 rows"
    rnn = nn.RNN(3, 5, nonlinearity="relu")
    filled(rnn.bias_ih_l0, -100.0)
    assert of(ta.doctor(rnn, ta.randn(4, 2, 3)), "dead units")[0][1].startswith("5 of 5")


@pytest.mark.parametrize(
    ("layer", "gate", "value", "what"),
    [
        (nn.GRU, 0, -50.0, ("gate always shut", "r: 6 of 6 units")),
        (nn.GRU, 1, 50.0, ("gate always open", "z: 6 of 6 units")),
        (nn.GRU, 2, 50.0, ("candidate saturated", "n: 6 of 6 units")),
        (nn.LSTM, 0, -50.0, ("gate always shut", "i: 6 of 6 units")),
        (nn.LSTM, 1, -50.0, ("gate always shut", "f: 6 of 6 units")),
        (nn.LSTM, 2, -50.0, ("candidate saturated", "g: 6 of 6 units")),
        (nn.LSTM, 3, 50.0, ("gate always open", "o: 6 of 6 units")),
    ],
)
@pytest.mark.parametrize("cell", [False, True])
def test_gates(layer, gate, value, what, cell):
    model = (getattr(nn, layer.__name__ + "Cell") if cell else layer)(5, 6)
    with ta.no_grad():
        (model.bias_ih if cell else model.bias_ih_l0)[6 * gate : 6 * gate + 6] = value
    report = ta.doctor(model, ta.randn(4, 5) if cell else ta.randn(3, 4, 5))
    where = "weight_hh" if cell else "weight_hh_l0"
    assert (what[0], where, what[1]) in report.findings


class ByHand(nn.Module):
    """Attention as one writes it, in different words."""

    def __init__(self, way):
        super().__init__()
        self.way, self.q, self.k = way, nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x, mask=None):
        q, k = self.q(x), self.k(x)
        if self.way == "fused":
            return F.scaled_dot_product_attention(q, k, x, mask)
        if self.way == "masked":
            return ta.attention(q, k, x, "dot", mask, need_weights=True)[0]
        s = q @ k.transpose(-2, -1)
        if mask is not None:
            s = s.masked_fill(mask.logical_not(), -1e9 if self.way == "large" else float("-inf"))
        return F.dropout(s.softmax(-1), 0.1) @ x


WAYS = ["fused", "masked", "by hand", "large"]


@pytest.mark.parametrize("way", WAYS)
def test_attention_that_is_uniform_or_saturated(way):
    model, x = ByHand(way), ta.randn(3, 6, 8)
    filled(model.q.weight, 0.0)
    filled(model.q.bias, 0.0)
    ((where, figure),) = of(ta.doctor(model, x), "attention uniform")
    assert "test_doctor.py:" in where or "ByHand" in where
    assert figure == "entropy 1.0000 of the most"
    for param in model.parameters():
        ta.nn.init.normal_(param, std=100.0)
    assert "attention saturated" in kinds(ta.doctor(model, x))


@pytest.mark.parametrize("way", WAYS)
def test_entropy_counts_unmasked_keys(way):
    """Two keys with equal weights are uniform, though the four others have none."""
    model, x = ByHand(way), ta.randn(3, 6, 8)
    filled(model.q.weight, 0.0)
    filled(model.q.bias, 0.0)
    mask = ta.zeros(6, 6).bool()
    mask[:, :2] = True
    assert "attention uniform" in kinds(ta.doctor(model, (x, mask)))


@pytest.mark.parametrize("way", ["fused", "masked", "large"])
def test_masks_that_hide_everything(way):
    mask = ta.ones(6, 6).bool()
    mask[1] = False
    report = ta.doctor(ByHand(way), (ta.randn(3, 6, 8), mask))
    ((_, figure),) = of(report, "mask hides all")
    assert figure == "3 of 18 queries have no key"


def test_heads_are_looked_at_one_by_one():
    model = nn.MultiheadAttention(16, 4, batch_first=True)
    with ta.no_grad():
        model.in_proj_weight[8:12] = 0.0  # the queries of head 2
    x = ta.randn(3, 6, 16) * 3
    ((where, _),) = of(ta.doctor(model, (x, x, x)), "attention uniform")
    assert where.endswith(", head 2")


def test_fused_weights_are_those_of_the_formula():
    from tinyattn.ops.attention import ScaledDotProductAttention

    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, h, 5, 4)) for h in (4, 2, 2))
    for causal, mask in (
        (True, None),
        (False, rng.random((5, 5)) > 0.3),
        (False, q[0, 0] @ q[0, 1].T),
    ):
        options = {"causal": causal, "scale": None, "group": 2}
        node = ScaledDotProductAttention()
        y = node.forward(q, k, v, mask, **options)
        weights, _ = node.attention_weights((q, k, v, mask), y)
        np.testing.assert_allclose(weights @ np.repeat(v, 2, 1), y, rtol=1e-9, atol=1e-12)


def test_a_softmax_that_weights_no_values_is_no_attention():
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    filled(model[0].weight, 0.0)
    filled(model[0].bias, 0.0)
    assert not {"attention uniform", "attention saturated"} & kinds(
        ta.doctor(model, ta.randn(5, 4))
    )


def test_values_may_stand_before_their_weights():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Linear(4, 1)

        def forward(self, x):
            return (x * self.scores(x).squeeze(-1).softmax(-1).unsqueeze(-1)).sum()

    model = Pooled()
    filled(model.scores.weight, 0.0)
    assert "attention uniform" in kinds(ta.doctor(model, ta.randn(2, 5, 4)))


class Loop(nn.Module):
    """h = W h + x, by hand."""

    def __init__(self, size):
        super().__init__()
        self.w = nn.Parameter(ta.eye(4) * size)

    def forward(self, xs):
        h = ta.zeros(xs.shape[1], 4)
        for x in xs:
            h = h @ self.w + x
        return h.sum()


@pytest.mark.parametrize(("size", "what"), [(0.3, "vanishes"), (3.0, "explodes"), (1.0, None)])
def test_gradients_over_the_steps_of_a_loop(size, what):
    report = ta.doctor(Loop(size), ta.randn(20, 2, 4))
    found = [f for f in report.findings if f.what.endswith("over time")]
    if what is None:
        assert not found
    else:
        ((kind, where, figure),) = found
        assert kind == f"gradient {what} over time"
        assert "test_doctor.py:" in where
        assert figure.endswith("back over 20 steps")
    (norms,) = report.over_time.values()
    np.testing.assert_allclose(norms[:-1], np.array(norms[1:]) * size, rtol=1e-5)


@pytest.mark.parametrize(("layer", "states"), [(nn.GRU, 1), (nn.LSTM, 2), (nn.RNN, 1)])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_inside_a_layer_are_those_of_its_steps(layer, states, reverse):
    """|dL/dh_t| of the fused layer, against the cell in a loop and retain_grad."""
    T, B, H = 6, 3, 4
    model = layer(5, H, bidirectional=reverse).double()
    suffix = "_l0_reverse" if reverse else "_l0"
    cell = getattr(nn, layer.__name__ + "Cell")(5, H).double()
    cell.load_state_dict({name: getattr(model, name + suffix) for name in cell.state_dict()})
    x = ta.tensor(np.random.default_rng(0).normal(size=(T, B, 5)))
    report = ta.doctor(model, x, loss=lambda out: out[0][..., -H:].square().sum())
    h = ta.zeros(B, H, dtype=ta.float64)
    state, kept = (h if states == 1 else (h, h)), []
    for t in reversed(range(T)) if reverse else range(T):
        state = cell(x[t], state)
        kept.append(state if states == 1 else state[0])
        kept[-1].retain_grad()
    ta.stack(kept).square().sum().backward()
    expected = [float(np.linalg.norm(h.grad.numpy())) for h in kept]
    np.testing.assert_allclose(report.over_time["weight_hh" + suffix], expected, rtol=1e-9)


@pytest.mark.parametrize(("layer", "states"), [(nn.GRU, 1), (nn.LSTM, 2), (nn.RNN, 1)])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_inside_a_layer_of_sentences_of_unequal_length(layer, states, reverse):
    """Against the cell in a loop over each sentence alone. The loss has the last states, too."""
    T, H, lengths = 4, 3, [4, 2, 2, 1]
    model = layer(5, H, bidirectional=reverse, bias=False).double()
    suffix = "_l0_reverse" if reverse else "_l0"
    cell = getattr(nn, layer.__name__ + "Cell")(5, H, bias=False).double()
    cell.load_state_dict({name: getattr(model, name + suffix) for name in cell.state_dict()})
    x = ta.tensor(np.random.default_rng(0).normal(size=(T, len(lengths), 5)))

    def loss(out):
        ends = out[1] if states == 2 else (out[1],)
        return out[0].data[:, -H:].square().sum() + sum(end[-1].sum() for end in ends)

    report = ta.doctor(model, nn.utils.rnn.pack_padded_sequence(x, lengths), loss=loss)
    expected = np.zeros(T)
    for b, length in enumerate(lengths):
        h = ta.zeros(1, H, dtype=ta.float64)
        state, kept = (h if states == 1 else (h, h)), {}
        for t in reversed(range(length)) if reverse else range(length):
            state = cell(x[t, b : b + 1], state)
            kept[t] = state if states == 1 else state[0]
            kept[t].retain_grad()
        end = state.sum() if states == 1 else state[0].sum() + state[1].sum()
        (sum(h.square().sum() for h in kept.values()) + end).backward()
        for t, h in kept.items():
            expected[t] += h.grad.square().sum().item()
    expected = np.sqrt(expected[::-1] if reverse else expected)
    np.testing.assert_allclose(report.over_time["weight_hh" + suffix], expected, rtol=1e-9)


def test_three_steps_are_the_fewest_that_are_told():
    for steps, told in ((2, False), (3, True)):
        report = ta.doctor(nn.GRU(2, 3), ta.randn(steps, 1, 2), loss=lambda out: out[0].sum())
        assert ("weight_hh_l0" in report.over_time) == told


def test_two_loops_that_run_the_same_line_are_two():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(ta.eye(4))

        def step(self, h):
            return h @ self.w

        def forward(self, h):
            for _ in range(4):
                h = self.step(h)
            for _ in range(3):
                h = self.step(h)
            return h.sum()

    ((_, norms),) = ta.doctor(Twice(), ta.randn(2, 4)).over_time.items()
    assert len(norms) == 3


def test_a_recurrent_layer_whose_gradient_vanishes():
    model = nn.RNN(3, 4)
    filled(model.weight_hh_l0, 0.02)
    report = ta.doctor(model, ta.randn(30, 2, 3), loss=lambda out: out[1].sum())
    ((where, _),) = of(report, "gradient vanishes over time")
    assert where == "weight_hh_l0"


def test_gradients_out_of_proportion_and_a_loss_that_is_not_finite():
    model = nn.Linear(2, 2)
    report = ta.doctor(model, ta.ones(1, 2), loss=lambda y: y.sum() * 1e6)
    assert {where for where, _ in of(report, "gradient / weight")} == {"weight", "bias"}
    report = ta.doctor(model, ta.ones(1, 2), loss=lambda y: y.sum() * float("nan"))
    assert of(report, "not finite") == [("loss", "nan")]


# What it takes, and what it leaves


def test_a_batch_may_be_a_function_that_gives_the_loss():
    model = nn.Linear(3, 1)
    x, y = ta.randn(8, 3), ta.randn(8, 1)
    one = ta.doctor(model, lambda: F.mse_loss(model(x), y))
    other = ta.doctor(model, x, loss=lambda out: F.mse_loss(out, y))
    assert one.ratios == other.ratios
    assert one.ratios["weight"] > 0


def test_arguments_are_given_as_to_the_model_or_in_a_tuple():
    model, batch = Translator(), sentences()
    assert ta.doctor(model, *batch).ratios == ta.doctor(model, batch).ratios
    lstm, x, state = nn.LSTM(3, 4), ta.randn(5, 2, 3), (ta.ones(1, 2, 4), ta.ones(1, 2, 4))
    natural = ta.doctor(lstm, x, state)  # a tuple that is one of several arguments stays one
    assert natural.ratios == ta.doctor(lstm, lambda: lstm(x, state)).ratios
    assert ta.doctor(lstm, x).ratios != natural.ratios


def test_an_operation_of_ones_own_says_what_it_is():
    """No class is known by its name: what counts is what the operation says of itself."""

    class Rectifier(ta.autograd.Function):
        switches_off = True

        def forward(self, x):
            self.save(x=x)
            return np.maximum(x, 0)

        def backward(self, grad):
            return grad * (self.saved["x"] > 0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(4, 16)

        def forward(self, x):
            return Rectifier.apply(self.hidden(x))

    model = Net()
    with ta.no_grad():
        model.hidden.bias[:3] = -100.0
    ((where, figure),) = of(ta.doctor(model, ta.randn(64, 4)), "dead units")
    assert where.startswith("Net (Rectifier, test_doctor.py:")
    assert figure == "3 of 16 are 0 in all of 64 rows"


def test_everything_stays_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Translator()
            self.register_buffer("calls", ta.zeros(1))

        def forward(self, *batch):
            self.calls += 1
            return self.inner(*batch)

    model, batch = Counting(), sentences()
    model(*batch).backward()
    model.inner.cell.eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    grads = {name: (p.grad, p.grad.clone()) for name, p in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    random = ta.get_rng_state()
    ta.doctor(model, batch)
    with pytest.raises(ZeroDivisionError):
        ta.doctor(model, lambda: 1 / (model(*batch).item() * 0))
    assert modes == [module.training for module in model.modules()]
    assert ta.get_rng_state().tolist() == random.tolist()
    for name, value in model.state_dict().items():
        assert value.tolist() == state[name].tolist()
    for name, p in model.named_parameters():
        assert p.grad is grads[name][0]
        assert p.grad.tolist() == grads[name][1].tolist()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with ta.no_grad():  # the doctor has left
        assert ta.ones(1).exp().grad_fn is None


def test_a_buffer_that_is_not_a_number_counts_as_unchanged():
    model = nn.Linear(2, 1)
    model.register_buffer("empty", ta.tensor(float("nan")))
    used = (model.empty * model.bias).sum()
    ta.doctor(model, ta.ones(1, 2))
    used.backward()  # raises where what it saved has changed
    assert model.bias.grad.isnan().all()


def test_a_buffer_is_changed_when_it_gets_its_values_back():
    """What the run has saved of it is not what it holds now."""
    model, kept = nn.Linear(2, 1), []
    model.register_buffer("calls", ta.ones(1))

    def run():
        model.calls += 1
        kept.append((model.bias * model.calls).sum())
        return model(ta.ones(1, 2))

    ta.doctor(model, run)
    assert model.calls.item() == 1
    with pytest.raises(RuntimeError, match="doctor"):
        kept[0].backward()


def test_numbers_that_overflow_are_findings_and_no_errors():
    model = nn.Linear(1, 1).double()
    with np.errstate(all="raise"):
        report = ta.doctor(model, ta.ones(1, 1, dtype=ta.float64), loss=lambda y: y * 1e300)
    assert {figure for _, figure in of(report, "gradient / weight")} == {"inf"}


def test_the_table_is_short():
    report = ta.doctor(nn.Transformer(16, 2, 2, 2, 32), (ta.randn(4, 2, 16), ta.randn(3, 2, 16)))
    lines = str(report).split("\n")
    assert len(lines) == len(report.over_time) + 1 + 12
    assert all(line.split()[-1] for line in lines)


# --- by hand --------------------------------------------------------------------------------------


def test_the_whole_table():
    report = Report()
    assert str(report) == "no findings"
    report.findings.append(Finding("gate shut", "gru", "update 3"))
    report.over_time["encoder.gru"] = [2.0, 1.0, 1e-3]
    report.ratios |= {"b": 0.5, "a": 0.25}
    assert str(report).split("\n") == [
        "gate shut           gru          update 3",
        "gradient over time  encoder.gru  2.0e+00 to 1.0e-03",
        "gradient / weight   a            2.5e-01",
        "gradient / weight   b            5.0e-01",
    ]
    assert repr(report) == str(report)


@pytest.mark.parametrize(("count", "shown"), [(12, range(12)), (13, [*range(6), *range(7, 13)])])
def test_of_many_ratios_the_six_smallest_and_largest_are_shown(count, shown):
    report = Report()
    report.ratios = {f"w{i}": 2.0**i for i in reversed(range(count))}
    names = [line.split()[3] for line in str(report).split("\n")[1:]]
    assert names == [f"w{i}" for i in shown]


@pytest.mark.parametrize(
    ("gradient", "weight", "ratio", "found"),
    [
        ([3.0, 4.0], [5.0, 0.0], 1.0, None),
        ([0.0, 1e-9], [1.0, 0.0], 1e-9, None),  # the limits themselves are no findings
        ([0.0, 0.9e-9], [1.0, 0.0], 0.9e-9, "9.0e-10"),
        ([100.0, 0.0], [1.0, 0.0], 100.0, None),
        ([101.0, 0.0], [1.0, 0.0], 101.0, "1.0e+02"),
        ([1.0, 0.0], [0.0, 0.0], None, None),  # a weight of 0 has no ratio
        ([np.nan, 0.0], [0.0, 0.0], None, "nan"),
        ([0.0, 0.0], [1.0, 0.0], None, "0 everywhere"),
        (None, [1.0, 0.0], None, "none reaches it"),
    ],
)
def test_the_ratio_of_a_gradient_to_its_weight(gradient, weight, ratio, found):
    report = Report()
    w = ta.tensor(weight, dtype=ta.float64)
    _parameters(report, {"w": w}, {"w": None if gradient is None else np.array(gradient)})
    assert report.ratios == ({} if ratio is None else {"w": pytest.approx(ratio)})
    assert [(one.where, one.figure) for one in report.findings] == ([("w", found)] if found else [])


def test_where_the_backward_pass_begins():
    x = ta.ones(2, 3, dtype=ta.float64, requires_grad=True)
    report = Report()
    ((_, grad),) = _roots((x * 2).sum(), report)
    assert grad.tolist() == 1
    outputs = {"a": x * 2, "b": [(x * 3).sum(), x.detach(), (x * 4, None)]}
    roots = list(_roots(outputs, report))
    assert [grad.shape for _, grad in roots] == [(2, 3), (), (2, 3)]
    for (_, grad), size in zip(roots, [6, 1, 6], strict=True):  # each the first of its container
        expected = np.random.default_rng(0).normal(size=grad.shape) / size
        np.testing.assert_allclose(grad, expected)
    assert list(_roots(None, report)) == []
    assert list(_roots(x.detach().sum(), report)) == []
    assert report.findings == []
    list(_roots(ta.tensor(float("inf")), report))
    assert report.findings == [Finding("not finite", "loss", "inf")]


def watch():
    return _Watch(nn.Identity())


def test_the_lowest_and_highest_values_of_a_gate_over_all_calls():
    seen = watch()
    for values in ([[0.2, 0.5], [0.4, 0.1]], [[0.3, 0.9]]):
        node = SimpleNamespace(
            gates=lambda values=values: {"z": np.array(values)},
            candidates=lambda values=values: {"n": -np.array(values)},
        )
        seen._gates("here", node)
    assert [bound.tolist() for bound in seen.gates["here", "z"]] == [[0.2, 0.1], [0.4, 0.9]]
    assert [bound.tolist() for bound in seen.candidates["here", "n"]] == [[0.2, 0.1], [0.4, 0.9]]


def test_the_limits_of_units_and_gates_are_no_findings_themselves():
    seen, report = watch(), Report()
    alive = np.array([True, False, True])
    seen.alive = {("some", 3): (16, alive), ("few", 3): (15, alive), ("all", 1): (1, alive[1:2])}
    low, high = np.array([0.99, 0.991, 0.2]), np.array([0.01, 1.0, 0.009])
    seen.gates = {("gru", "z"): (low, high)}
    seen.candidates = {("gru", "n"): (low, high)}
    seen.units(report)
    assert report.findings == [
        Finding("dead units", "some", "1 of 3 are 0 in all of 16 rows"),
        Finding("dead units", "all", "1 of 1 are 0 in all of 1 rows"),
        Finding("gate always open", "gru", "z: 1 of 3 units"),
        Finding("gate always shut", "gru", "z: 1 of 3 units"),
        Finding("candidate saturated", "gru", "n: 1 of 3 units"),
    ]


def test_the_entropy_of_attention_is_that_of_the_keys_that_are_allowed():
    place = _Attention()
    weights = np.array([[0.5, 0.5, 0.3], [1.0, 0.0, 0.0], [0.8, 0.2, 0.0], [0.1, 0.2, 0.7]])
    allowed = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 0]], bool)
    with np.errstate(all="ignore"):
        place.add(weights, allowed)
    assert (place.rows, place.hidden) == (4, 1)
    assert [part.tolist() for part in place.entropies[0]] == [[1.0, 0.0]]  # two have a choice


def test_which_scores_are_masked_and_which_entropies_are_findings():
    seen, report = watch(), Report()
    scores = np.array([[-1e4, -1e4], [0.0, -9999.0]])
    node = SimpleNamespace(
        keeps_weights=False,
        attends=True,
        attention_weights=lambda inputs, output: (np.full((2, 2), 0.5), scores),
    )
    with np.errstate(all="ignore"):
        seen._attention("masked", node, (scores,), scores)
    for name, *entropies in [("low", 0.01), ("high", 0.9999), ("none",), ("two", 0.009, 1.0)]:
        place = seen.attentions[name] = _Attention()
        place.attends = True
        place.entropies = {head: [np.array([[e, e]])] for head, e in enumerate(entropies)}
    seen.attentions["none"].entropies = {0: [np.zeros((1, 0))]}
    seen.attention(report)
    assert report.findings == [
        Finding("mask hides all", "masked", "1 of 2 queries have no key"),
        Finding("attention uniform", "masked", "entropy 1.0000 of the most"),
        Finding("attention saturated", "two, head 0", "entropy 0.0090 of the most"),
        Finding("attention uniform", "two, head 1", "entropy 1.0000 of the most"),
    ]


def chain(*links):
    """Nodes of a graph, each of which uses the one before it where its link is true."""
    nodes = []
    for i, link in enumerate(links):
        nodes.append(Node(i, [None, (nodes[-1], 0)] if link else []))
    return nodes


class Node:
    states = 0

    def __init__(self, number, edges):
        self.number, self.edges = number, edges


@pytest.mark.parametrize(
    ("norms", "finding"),
    [
        ([1e5, 0.5, 1.0], ("gradient explodes over time", "1.0e+00 to 1.0e+05 back over 3 steps")),
        ([1e5, 1e6, 1.0], ("gradient explodes over time", "1.0e+00 to 1.0e+05 back over 3 steps")),
        ([1e-5, 1.0, 1.0], ("gradient vanishes over time", "1.0e+00 to 1.0e-05 back over 3 steps")),
        ([1e4, 1.0, 1.0], None),  # the limit itself
        ([1e4, 1.0, 0.9], ("gradient explodes over time", "9.0e-01 to 1.0e+04 back over 3 steps")),
    ],
)
def test_a_gradient_over_the_steps_of_a_loop(norms, finding):
    seen, report = watch(), Report()
    nodes = zip(chain(0, 1, 1), norms, strict=True)
    seen.calls["here", ()] = [_Call(node, (), {0: np.array([norm])}) for node, norm in nodes]
    seen.time(report)
    assert report.over_time == {"here": norms}
    expected = [Finding(finding[0], "here", finding[1])] if finding else []
    assert report.findings == expected


def test_loops_that_are_no_recurrence_or_too_short_are_not_told():
    seen, report = watch(), Report()
    for name, links, norms in [
        ("short", (0, 1), (1, 2)),
        ("no chain at its end", (0, 1, 0), (1, 2, 3)),
        ("without use", (0, 1, 1), (1, 2, 0)),  # two steps are left
    ]:
        nodes = zip(chain(*links), norms, strict=True)
        seen.calls[name, ()] = [_Call(node, (), {0: np.array([float(n)])}) for node, n in nodes]
    seen.time(report)
    assert report.over_time == {}


def test_the_operations_in_a_loop_of_cells_are_told_by_the_cell_alone():
    seen, report = watch(), Report()
    for name, states in (("operation", 0), ("cell", 1)):
        nodes = chain(0, 1, 1)
        for node in nodes:
            node.states, node.sizes = states, [1]
        seen.calls[name, ()] = [_Call(node, (), {0: np.ones(1)}) for node in nodes]
    seen.time(report)
    assert report.over_time == {"cell": [1.0, 1.0, 1.0]}


def test_a_chain_is_one_at_both_ends():
    assert _is_chain(chain(0, 1, 1, 1))
    assert not _is_chain(chain(0, 0, 1, 1))
    assert not _is_chain(chain(0, 1, 1, 0))


def test_one_node_leads_to_another_over_any_edge_and_in_time_in_proportion():
    nodes = chain(*[0] + [1] * 99)
    for before, node in pairwise(nodes):
        node.edges = [(before, 0), None, (before, 1)]  # 2^99 ways
    assert _leads(nodes[0], nodes[-1])
    assert not _leads(chain(0)[0], nodes[-1])
    assert _leads(nodes[98], nodes[99])


def test_the_place_of_a_call_is_the_whole_stack():
    frame, codes = sys._getframe(), []
    while frame is not None:
        codes.append(frame.f_code)
        frame = frame.f_back
    assert [code for code, _ in _stack()] == codes
    assert len({_stack() for _ in range(3)}) == 1
    assert _stack() != _stack()


def test_the_norm_of_gradients_that_reach_one_state():
    assert _norm(np.array([3.0, -4.0])) == 5
    assert _norm(np.array([[1.0, 4.0]]), np.array([[2.0], [0.0]])) == 5  # of their sum
    assert _norm(np.array([3.0]), np.array([4.0, 0.0])) == 5  # of all


def test_how_far_a_gradient_changes_over_time():
    assert _change([2.0, 1.0, 8.0]) == _change([8.0, 1.0, 2.0]) == math.log(4)
    assert _change([0.0, 1.0]) == pytest.approx(300 * math.log(10))
