"""What the modules of nn compute, written in NumPy to be read: one short function a module.

`w` holds a module's parameters by name. A sequence is (T, features), without a batch: a batch is
many of them, which the tests take one by one.
"""

from math import erf

import numpy as np


def under(w, prefix):
    """The parameters of the module with that name inside another."""
    return {k.removeprefix(prefix): v for k, v in w.items() if k.startswith(prefix)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    """A row of -inf only, which allows nothing, gives zeros."""
    top = np.max(x, axis, keepdims=True)
    e = np.exp(x - np.where(np.isinf(top), 0, top))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def normal_distribution(x):
    return np.vectorize(lambda t: (1 + erf(t / np.sqrt(2))) / 2)(x)


def gelu(x):
    return x * normal_distribution(x)


def gelu_tanh(x):
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def relu(x):
    return np.maximum(x, 0)


def glu(x, axis):
    a, b = np.split(x, 2, axis)
    return a * sigmoid(b)


def linear(x, w):
    return x @ w["weight"].T + w.get("bias", 0)


def layer_norm(x, w, eps, axes=1):
    over = tuple(range(-axes, 0))
    mean = x.mean(over, keepdims=True)
    variance = ((x - mean) ** 2).mean(over, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * w.get("weight", 1) + w.get("bias", 0)


def rms_norm(x, w, eps, axes=1):
    over = tuple(range(-axes, 0))
    return x / np.sqrt((x**2).mean(over, keepdims=True) + eps) * w.get("weight", 1)


def conv1d(x, w, stride=1, dilation=1, groups=1):
    """x (C, T), padded already."""
    outputs, inputs, K = w["weight"].shape
    steps = range(0, x.shape[1] - dilation * (K - 1), stride)
    y = np.zeros((outputs, len(steps)))
    for o in range(outputs):
        first = o // (outputs // groups) * inputs
        for i, t in enumerate(steps):
            for k in range(K):
                y[o, i] += w["weight"][o, :, k] @ x[first : first + inputs, t + dilation * k]
        y[o] += w["bias"][o] if "bias" in w else 0
    return y


# Recurrent modules: step(x, state, w) -> the next state, whose first part is the output


def gru_step(x, state, w):
    (h,) = state
    a_r, a_z, a_n = np.split(w["weight_ih"] @ x + w.get("bias_ih", 0), 3)
    b_r, b_z, b_n = np.split(w["weight_hh"] @ h + w.get("bias_hh", 0), 3)
    r, z = sigmoid(a_r + b_r), sigmoid(a_z + b_z)
    n = np.tanh(a_n + r * b_n)
    return [(1 - z) * n + z * h]


def lstm_step(x, state, w):
    h, c = state
    biases = w.get("bias_ih", 0) + w.get("bias_hh", 0)
    i, f, g, o = np.split(w["weight_ih"] @ x + w["weight_hh"] @ h + biases, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return [w["weight_hr"] @ h if "weight_hr" in w else h, c]


def rnn_step(x, state, w, nonlinearity=np.tanh):
    (h,) = state
    biases = w.get("bias_ih", 0) + w.get("bias_hh", 0)
    return [nonlinearity(w["weight_ih"] @ x + w["weight_hh"] @ h + biases)]


def recurrent(step, x, first, w, layers=1, directions=1):
    """first: the parts of the first state, each (layers * directions, H). Returns the outputs of
    the last layer and the parts of the last state."""
    last = []
    for layer in range(layers):
        outputs = []
        for d, suffix in enumerate(["", "_reverse"][:directions]):
            end = f"_l{layer}{suffix}"
            own = {k.removesuffix(end): v for k, v in w.items() if k.endswith(end)}
            state = [part[layer * directions + d] for part in first]
            ys = []
            for row in x[::-1] if d else x:
                state = step(row, state, own)
                ys.append(state[0])
            outputs.append(ys[::-1] if d else ys)
            last.append(state)
        x = np.concatenate(outputs, -1)
    return x, [np.stack(part) for part in zip(*last, strict=True)]


# Attention. A mask is `added` to the scores: -inf where a query must not look.


def multihead_attention(q, k, v, w, heads, added=0.0, zero_attn=False):
    """Output (Tq, E) and weights (heads, Tq, Tk); added broadcasts to (heads, Tq, Tk)."""
    E = q.shape[-1]
    D = E // heads
    added = np.broadcast_to(added, (heads, len(q), len(k)))
    if "in_proj_weight" in w:
        w_q, w_k, w_v = np.split(w["in_proj_weight"], 3)
    else:
        w_q, w_k, w_v = w["q_proj_weight"], w["k_proj_weight"], w["v_proj_weight"]
    b_q, b_k, b_v = np.split(w.get("in_proj_bias", np.zeros(3 * E)), 3)
    q, k, v = q @ w_q.T + b_q, k @ w_k.T + b_k, v @ w_v.T + b_v
    more = [(w["bias_k"][0], w["bias_v"][0])] if "bias_k" in w else []
    more += [(np.zeros((1, E)), np.zeros((1, E)))] if zero_attn else []
    for one_k, one_v in more:
        k, v = np.concatenate([k, one_k]), np.concatenate([v, one_v])
        added = np.concatenate([added, np.zeros((heads, len(q), 1))], -1)
    outputs, weights = [], []
    for i in range(heads):
        part = slice(i * D, (i + 1) * D)
        weights.append(softmax(q[:, part] @ k[:, part].T / np.sqrt(D) + added[i]))
        outputs.append(weights[-1] @ v[:, part])
    return linear(np.concatenate(outputs, -1), under(w, "out_proj.")), np.stack(weights)


def score(name, q, k, w, scale=1.0):
    """(Tq, Tk): how much query i attends to key j."""
    norm = np.linalg.norm
    pair = {
        "dot": lambda a, b: a @ b,
        "scaled_dot": lambda a, b: a @ b / np.sqrt(len(a)),
        "general": lambda a, b: a @ w["weight"] @ b,
        "additive": lambda a, b: (
            w["v"] @ np.tanh(w["weight_q"] @ a + w["weight_k"] @ b + w.get("bias", 0))
        ),
        "cosine": lambda a, b: a @ b / (norm(a) * norm(b)),
        "neg_sq_distance": lambda a, b: -(norm(a - b) ** 2),
        "geometric_mean": lambda a, b: a @ b / np.sqrt(norm(a) * norm(b)),
    }[name]
    return np.array([[pair(a, b) * scale for b in k] for a in q])


# The Transformer. `lost` names the dropouts that lose everything: all else is kept.


def _add(x, i, block, w, norm_first, eps, lost):
    def norm(y):
        return layer_norm(y, under(w, f"norm{i}."), eps)

    kept = 0 if f"dropout{i}" in lost else 1
    if norm_first:
        return x + kept * block(norm(x))
    return norm(x + kept * block(x))


def _feed_forward(x, w, activation, lost):
    hidden = activation(linear(x, under(w, "linear1.")))
    return linear(hidden * ("dropout" not in lost), under(w, "linear2."))


def encoder_layer(x, w, heads, added=0.0, norm_first=False, activation=relu, eps=1e-5, lost=()):
    def attend(y):
        return multihead_attention(y, y, y, under(w, "self_attn."), heads, added)[0]

    order = norm_first, eps, lost
    x = _add(x, 1, attend, w, *order)
    return _add(x, 2, lambda y: _feed_forward(y, w, activation, lost), w, *order)


def decoder_layer(
    x,
    memory,
    w,
    heads,
    added=0.0,
    to_memory=0.0,
    norm_first=False,
    activation=relu,
    eps=1e-5,
    lost=(),
):
    def attend(y):
        return multihead_attention(y, y, y, under(w, "self_attn."), heads, added)[0]

    def attend_to_memory(y):
        own = under(w, "multihead_attn.")
        return multihead_attention(y, memory, memory, own, heads, to_memory)[0]

    order = norm_first, eps, lost
    x = _add(x, 1, attend, w, *order)
    x = _add(x, 2, attend_to_memory, w, *order)
    return _add(x, 3, lambda y: _feed_forward(y, w, activation, lost), w, *order)


def encoder(x, w, layers, heads, added=0.0, eps=1e-5, **options):
    for i in range(layers):
        x = encoder_layer(x, under(w, f"layers.{i}."), heads, added, eps=eps, **options)
    return layer_norm(x, under(w, "norm."), eps) if "norm.weight" in w else x


def decoder(x, memory, w, layers, heads, added=0.0, to_memory=0.0, eps=1e-5, **options):
    for i in range(layers):
        own = under(w, f"layers.{i}.")
        x = decoder_layer(x, memory, own, heads, added, to_memory, eps=eps, **options)
    return layer_norm(x, under(w, "norm."), eps) if "norm.weight" in w else x


def angles(T, D, start=0, base=10000.0):
    """(T, D / 2)"""
    return np.array([[(start + t) / base ** (2 * i / D) for i in range(D // 2)] for t in range(T)])


def sinusoids(T, D, start=0, base=10000.0):
    table = np.zeros((T, D))
    table[:, 0::2] = np.sin(angles(T, D, start, base))
    table[:, 1::2] = np.cos(angles(T, D, start, base))
    return table


def rotary(x, start=0, base=10000.0, interleaved=True):
    """Each pair of features is a complex number, multiplied by e^(i angle)."""
    T, D = x.shape
    first = slice(0, None, 2) if interleaved else slice(0, D // 2)
    second = slice(1, None, 2) if interleaved else slice(D // 2, None)
    turned = (x[:, first] + 1j * x[:, second]) * np.exp(1j * angles(T, D, start, base))
    y = np.zeros_like(x)
    y[:, first], y[:, second] = turned.real, turned.imag
    return y


# Losses: of each element, or of each target


def smooth_l1(d, beta):
    return np.where(np.abs(d) < beta, d**2 / (2 * beta), np.abs(d) - beta / 2)


def huber(d, delta):
    return np.where(np.abs(d) < delta, d**2 / 2, delta * (np.abs(d) - delta / 2))


def binary_cross_entropy(x, y, weight=1.0, pos_weight=1.0):
    p = sigmoid(x)
    return -weight * (pos_weight * y * np.log(p) + (1 - y) * np.log(1 - p))


def nll(x, target, weight, ignore_index, reduction):
    """x (N, V), weight (V,)."""
    counted = target != ignore_index
    row = np.where(counted, target, 0)
    factor = weight[row] * counted
    losses = -factor * x[np.arange(len(x)), row]
    return reduced(losses, reduction, factor.sum())


def cross_entropy(x, target, weight, ignore_index, reduction, smoothing):
    logs = np.log(softmax(x))
    V, counted = x.shape[1], target != ignore_index
    row = np.where(counted, target, 0)
    factor = weight[row] * counted
    hard = -factor * logs[np.arange(len(x)), row]
    soft = -(logs * weight).sum(1) / V * counted
    return reduced((1 - smoothing) * hard + smoothing * soft, reduction, factor.sum())


def reduced(losses, reduction, count=None):
    if reduction == "none":
        return losses
    total = losses.sum()
    return total if reduction == "sum" else total / (losses.size if count is None else count)
