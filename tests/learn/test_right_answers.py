"""Right answers pass, however they are written: loops, einsum, lists, another order of the sums."""

import math

import numpy as np
import pytest

import tinyattn as ta
from tinyattn.learn._exercises.e13_softmax_in_c import compiler, from_c
from tinyattn.learn.checking import examine
from tinyattn.learn.exercise import load

# Exercise 01


def derivative_by_arrays(f, x, h):
    steps = np.array([h, h / 2])
    values = [(f(x + s) - f(x - s)) / (2 * s) for s in steps]
    return [values[-1], max(values) - min(values)]


def derivative_by_floats_of_numpy(f, x, h):
    def central(s):
        return np.float64(0.5) * (f(np.float64(x + s)) - f(np.float64(x - s))) / s

    return central(h / 2), np.hypot(central(h) - central(h / 2), 0)


# Exercise 02


def by_paths(last):
    def go(node, gradient):
        node.grad += gradient
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            go(parent, gradient * slope)

    go(last, 1.0)


def by_counting_users(last):
    users, waiting, seen = {}, [last], {last}
    while waiting:
        node = waiting.pop()
        for parent in node.parents:
            users[parent] = users.get(parent, 0) + 1
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    last.grad, ready = 1, [last]
    while ready:
        node = ready.pop()
        for parent, slope in zip(node.parents, node.slopes, strict=True):
            parent.grad = parent.grad + node.grad * slope
            users[parent] -= 1
            if not users[parent]:
                ready.append(parent)


# Exercise 03


def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = sum(grad, np.zeros(grad.shape[1:]))
    for i in range(len(shape)):
        if shape[i] == 1 and grad.shape[i] != 1:
            grad = np.add.reduce(grad, i, keepdims=True)
    return grad


def matmul_by_loops(grad, x, w):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            for d in range(x.shape[2]):
                for v in range(w.shape[1]):
                    dx[b, t, d] += grad[b, t, v] * w[d, v]
                    dw[d, v] += grad[b, t, v] * x[b, t, d]
    return [dx, dw]


def matmul_by_rows(grad, x, w):
    D, V = w.shape
    return (grad.reshape(-1, V) @ w.T).reshape(x.shape), x.reshape(-1, D).T @ grad.reshape(-1, V)


# Exercises 04 and 05


def softmax_by_jacobians(y, grad):
    return [(np.diag(p) - np.outer(p, p)) @ g for p, g in zip(y, grad, strict=True)] or y


def softmax_by_lists(y, grad):
    rows = []
    for p, g in zip(y.tolist(), grad.tolist(), strict=True):
        s = math.fsum(a * b for a, b in zip(p, g, strict=True))
        rows.append([a * (b - s) for a, b in zip(p, g, strict=True)])
    return np.array(rows).reshape(y.shape)


def softmax_in_float32(y, grad):
    y, grad = y.astype(np.float32), grad.astype(np.float32)
    return y * grad - y * np.einsum("bv,bv->b", y, grad)[:, None]


def softmax_by_tensors(y, grad):
    y, grad = ta.tensor(y), ta.tensor(grad)
    return y * (grad - (grad * y).sum(-1, keepdim=True))


def embedding_by_one_hot(grad, tokens, V):
    return np.einsum("btv,btd->vd", np.eye(V)[tokens], grad)


def embedding_by_loops(grad, tokens, V):
    table = np.zeros((V, grad.shape[2]))
    for b in range(len(tokens)):
        for t in range(len(tokens[b])):
            table[tokens[b, t]] += grad[b, t]
    return table


def embedding_by_columns(grad, tokens, V):
    """np.bincount gives whole numbers where it counts nothing."""
    columns = [np.bincount(tokens.ravel(), g.ravel(), V) for g in np.moveaxis(grad, 2, 0)]
    return np.stack(columns, axis=1)


def cross_entropy_by_loops(logits, targets, pad):
    out = np.zeros(logits.shape)
    n = sum(1 for target in targets if target != pad)
    for i, target in enumerate(targets):
        if target == pad:
            continue
        top = max(logits[i])
        total = sum(math.exp(x - top) for x in logits[i])
        for j in range(logits.shape[1]):
            out[i, j] = (math.exp(logits[i, j] - top) / total - (j == target)) / n
    return out


# Exercises 06 and 07


def gru_by_columns(x, h, w_ih, w_hh, b_ih, b_hh):
    H = h.shape[1]
    out = np.empty_like(h)
    for i in range(H):

        def gate(k, i=i):
            return x @ w_ih[k * H + i] + b_ih[k * H + i], h @ w_hh[k * H + i] + b_hh[k * H + i]

        r, z = (0.5 * (1 + np.tanh(sum(gate(k)) / 2)) for k in (0, 1))
        a, b = gate(2)
        n = np.tanh(a + r * b)
        out[:, i] = n + z * (h[:, i] - n)
    return out


def gru_backward_row_by_row(grad, x, h, w_ih, w_hh, r, z, n, hn):
    dx, dh = np.zeros(x.shape), np.zeros(h.shape)
    dw_ih, dw_hh = np.zeros(w_ih.shape), np.zeros(w_hh.shape)
    db_ih, db_hh = np.zeros(len(w_ih)), np.zeros(len(w_hh))
    for b in range(len(x)):
        a_n = grad[b] * (1 - z[b]) * (1 - n[b] ** 2)
        a_z = grad[b] * (h[b] - n[b]) * (z[b] - z[b] ** 2)
        a_r = a_n * hn[b] * (r[b] - r[b] ** 2)
        left, right = np.hstack([a_r, a_z, a_n]), np.hstack([a_r, a_z, a_n * r[b]])
        dx[b], dh[b] = w_ih.T @ left, w_hh.T @ right + grad[b] * z[b]
        dw_ih += np.outer(left, x[b])
        dw_hh += np.einsum("i,j->ij", right, h[b])
        db_ih, db_hh = db_ih + left, db_hh + right
    return [dx, dh, dw_ih, dw_hh, db_ih, db_hh]


def through_time_by_recursion(grad, h, u):
    if not len(grad):
        return grad, np.zeros_like(h[0]), np.zeros_like(u)
    last = grad[-1] * (1 - np.square(h[-1]))
    if len(grad) == 1:
        return last[None], last @ u.T, h[0].T @ last
    before = grad[:-1].copy()
    before[-1] += last @ u.T
    da, dh, du = through_time_by_recursion(before, h[:-1], u)
    return np.concatenate([da, last[None]]), dh, du + h[-2].T @ last


# Exercises 08 to 12


def additive_by_loops(query, keys, w_q, w_k, v):
    rows = [[np.tanh(q @ w_q + k @ w_k) @ v for k in ks] for q, ks in zip(query, keys, strict=True)]
    return np.array(rows, float).reshape(keys.shape[:2])


def context_row_by_row(scores, values, mask):
    weights = np.zeros(scores.shape)
    for i in range(len(scores)):
        if mask[i].any():
            e = np.exp(scores[i, mask[i]] - scores[i, mask[i]].max())
            weights[i, mask[i]] = e / e.sum()
    return (weights[:, :, None] * values).sum(1), weights


def shifted(targets, start, pad):
    first = np.full((len(targets), 1), start)
    return np.concatenate([first, targets], axis=1)[:, :-1], np.not_equal(targets, pad)


def greedy_by_loop(logits, done, end, pad):
    tokens = [pad if d else int(np.argmax(row)) for row, d in zip(logits, done, strict=True)]
    now = [bool(d) or t == end for t, d in zip(tokens, done, strict=True)]
    return np.array(tokens, int), np.array(now, bool)


def attention_query_by_query(q, k, v, mask):
    out = np.zeros((*q.shape[:2], v.shape[2]))
    for b in range(len(q)):
        for i in range(q.shape[1]):
            if mask[i].any():
                s = k[b, mask[i]] @ q[b, i] * q.shape[2] ** -0.5
                e = np.exp(s - np.max(s))
                out[b, i] = e @ v[b, mask[i]] / sum(e)
    return out


def heads_by_slices(x, h):
    d = x.shape[2] // h
    return np.stack([x[:, :, i * d : (i + 1) * d] for i in range(h)], axis=1)


def attention_backward_by_scaled_queries(grad, q, k, v, p):
    c = 1 / math.sqrt(k.shape[2])
    dp = np.einsum("bie,bje->bij", grad, v)
    ds = p * (dp - np.einsum("bij,bij->bi", dp, p)[:, :, None])
    return ds @ (k * c), np.einsum("bij,bid->bjd", ds, q * c), np.einsum("bij,bie->bje", p, grad)


def layer_norm_by_jacobian(grad, x, weight, eps):
    dx, z = np.zeros(x.shape), np.zeros(x.shape)
    D = x.shape[1]
    for i, row in enumerate(x):
        scale = (row.var() + eps) ** -0.5
        z[i] = (row - row.mean()) * scale
        jacobian = scale * (np.eye(D) - 1 / D - np.outer(z[i], z[i]) / D)
        dx[i] = jacobian @ (grad[i] * weight)
    return dx, (grad * z).sum(0), grad.sum(0)


def online_score_by_score(m, s, block):
    m, s = m.copy(), s.copy()
    for b in range(len(m)):
        for x in block[b]:
            if x > m[b]:
                s[b] = s[b] * math.exp(m[b] - x) + 1
                m[b] = x
            elif x > -math.inf:
                s[b] += math.exp(x - m[b])
    return m, s


def tile_key_by_key(q, k, v, m, s, o):
    for key, value in zip(k, v, strict=True):
        score = q @ key / q.shape[1] ** 0.5
        top = np.maximum(m, score)
        old, new = np.exp(m - top), np.exp(score - top)
        m, s, o = top, s * old + new, o * old[:, None] + new[:, None] * value
    return m, s, o


# Exercises 11, 13 and 14


def block_by_a_loop(x, attention, feed_forward, norm_1, norm_2, norm_first):
    y = np.array(x, copy=True)
    for part, norm in ((attention, norm_1), (feed_forward, norm_2)):
        inside = part(norm(y) if norm_first else y)
        y = np.add(inside, y) if norm_first else norm(np.add(inside, y))
    return y


def diagnose_by_candidates(attention):
    rng = np.random.default_rng(3)
    q, k, v = (2 * rng.standard_normal(shape) for shape in ((4, 3), (5, 3), (5, 2)))
    mask = rng.random((4, 5)) < 0.5
    mask[:, 0], mask[:, 1], mask[1, 0] = True, False, True

    def softmax(s, axis=-1):
        e = np.exp(s - s.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    s = q @ k.T
    d = s / 3**0.5
    candidates = {
        "right": softmax(np.where(mask, d, -1e9)),
        "no scale": softmax(np.where(mask, s, -1e9)),
        "scaled by keys": softmax(np.where(mask, s / 5**0.5, -1e9)),
        "no mask": softmax(d),
        "inverted mask": softmax(np.where(mask, -1e9, d)),
        "mask after softmax": softmax(d) * mask,
        "softmax over queries": softmax(np.where(mask, d, -1e9), 0),
    }
    got = attention(q, k, v, mask)
    return min(candidates, key=lambda name: np.abs(candidates[name] @ v - got).max())


C = {
    "in_double": """
        #include <math.h>
        void softmax_in_c(const float *x, float *y, long columns, long first, long last)
        {
            const float *end = x + last * columns; // C++ comments are C, too
            for (x += first * columns, y += first * columns; x < end; x += columns, y += columns) {
                double top = -HUGE_VAL, sum = 0.0;
                long j;
                for (j = 0; j < columns; ++j) top = fmax(top, x[j]);
                for (j = 0; j < columns; ++j) sum += exp(x[j] - top);
                for (j = 0; j < columns; ++j) y[j] = (float)(exp(x[j] - top) / sum);
            }
        }""",
    "in_one_pass": """
        #include <float.h>
        #include <math.h>
        static void row(const float *x, float *y, long n)
        {
            float top = -FLT_MAX, sum = 0;
            for (long j = 0; j < n; j++) {
                float higher = fmaxf(top, x[j]);
                sum = sum * expf(top - higher) + expf(x[j] - higher);
                top = higher;
            }
            float scale = 1 / sum;
            for (long j = 0; j < n; j++) y[j] = expf(x[j] - top) * scale;
        }
        void softmax_in_c(const float *x, float *y, long columns, long first, long last)
        {
            for (; first < last; first++) row(x + first * columns, y + first * columns, columns);
        }""",
}


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("how", C)
def test_right_c_passes_however_it_is_written(how):
    report = examine(load("13_softmax_in_c"), from_c(C[how], how))
    assert report.right, str(report)


def causal_word_by_word(model, T, D):
    x = np.linspace(-1, 2, T * D).reshape(T, D)
    y = model(x)
    for t in range(T):
        other = x.copy()
        other[t] = np.sin(10 * np.arange(D) + t) + 3
        changed = np.abs(model(other) - y).max(axis=1) > 1e-9
        if changed[:t].any():
            return False
    return True


def faults_by_differences(softmax_backward):
    def softmax(x):
        return np.exp(x) / np.exp(x).sum(1, keepdims=True)

    x, grad = np.sin(np.arange(24.0)).reshape(3, 8), np.cos(3 * np.arange(24.0)).reshape(3, 8)
    got = softmax_backward(softmax(x), grad)
    for i in np.ndindex(3, 8):
        up, down = x.copy(), x.copy()
        up[i] += 1e-5
        down[i] -= 1e-5
        slope = (grad * (softmax(up) - softmax(down))).sum() / 2e-5
        if abs(slope - got[i]) > 1e-5:
            return False
    return True


RIGHT = {
    "01_derivative": [derivative_by_arrays, derivative_by_floats_of_numpy],
    "02_backward": [by_paths, by_counting_users],
    "03a_unbroadcast": [unbroadcast],
    "03b_matmul_backward": [matmul_by_loops, matmul_by_rows],
    "04_softmax_backward": [
        softmax_by_jacobians, softmax_by_lists, softmax_in_float32, softmax_by_tensors,
    ],
    "05a_embedding_backward": [
        embedding_by_one_hot, embedding_by_loops, embedding_by_columns,
    ],
    "05b_cross_entropy_backward": [cross_entropy_by_loops],
    "06a_gru_step": [gru_by_columns],
    "06b_gru_step_backward": [gru_backward_row_by_row],
    "07_backward_through_time": [through_time_by_recursion],
    "08a_additive_scores": [additive_by_loops],
    "08b_context": [context_row_by_row],
    "09a_shift_targets": [shifted],
    "09b_greedy_step": [greedy_by_loop],
    "10a_attention": [attention_query_by_query],
    "10b_split_heads": [heads_by_slices],
    "10c_attention_backward": [attention_backward_by_scaled_queries],
    "11a_transformer_block": [block_by_a_loop],
    "11b_is_causal": [causal_word_by_word],
    "11c_layer_norm_backward": [layer_norm_by_jacobian],
    "12a_online_softmax": [online_score_by_score],
    "12b_attention_tile": [tile_key_by_key],
    "14a_catch_faults": [faults_by_differences],
    "14b_diagnose": [diagnose_by_candidates],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer"),
    [(name, answer) for name, answers in RIGHT.items() for answer in answers],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_a_right_answer_passes_however_it_is_written(name, answer):
    report = examine(load(name), answer)
    assert report.right, str(report)
