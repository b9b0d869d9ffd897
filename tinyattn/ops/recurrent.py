"""The recurrent layers over packed sequences, each in one direction: GRU, LSTM, RNN.

Packed: the rows of step t stand together, batch_sizes[t] of them, the longest sequence first; in a
padded batch all batch_sizes are equal. Letters: N rows in all, B sequences, I input features,
H hidden features, G gates. Read Layer first: it holds what the three have in common.
"""

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.gradients import Gradient, rows_product
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.kernels._types import Array
from tinyattn.kernels.copies import copied, joined
from tinyattn.kernels.sums import sum_over
from tinyattn.ops.products import as_rows, by_rows


class Layer(Function):
    """The gates are functions of two sums, x W_ih^T + b_ih and h W_hh^T + b_hh.

    The first is computed for all steps at once. With a and c the gradients at the two sums, and h
    the state that each row started from,
        dx = a W_ih,  dW_ih = a^T x,  db_ih = sum a,  dW_hh = c^T h,  db_hh = sum c
    over all rows at once.
    """

    kernels_only = True
    fresh = True
    packs = (2, 3)
    states = 1

    def inputs(
        self, x: Array, w_ih: Array, b_ih: Array | None, sizes: Array, reverse: bool
    ) -> Array:
        """x W_ih^T + b_ih, (N, GH)."""
        self.kernels, self.sizes, self.reverse = backend(), sizes, reverse
        return self.kernels.matmul(as_rows(x), w_ih.T, b_ih, packings=self.packings(2))

    def gradients(self, a: Array, c: Array, dh0: Array) -> tuple[Gradient | None, ...]:
        """The gradients of x, h0, w_ih, w_hh, b_ih, b_hh, once forward has saved x, h0, w_ih, y."""
        x, h0, w_ih, y = (self.saved[name] for name in ("x", "h0", "w_ih", "y"))
        k = self.kernels
        dx = dw_ih = dw_hh = db_ih = db_hh = None
        if self.needs(0):
            dx = k.matmul(a, w_ih, packings=self.packings(2)).reshape(x.shape)
        if self.needs(2):
            dw_ih = self.over_rows(rows_product, (a, as_rows(x)), k)
        if self.needs(3):
            rows = c, self.before(as_rows(h0), as_rows(y))
            dw_hh = self.over_rows(rows_product, rows, k)
        if self.needs(4):
            db_ih = sum_over(a, (0,))
        if self.needs(5):
            db_hh = copied(db_ih) if a is c and db_ih is not None else sum_over(c, (0,))
        return dx, dh0.reshape(h0.shape), dw_ih, dw_hh, db_ih, db_hh

    def parts(self, names: str) -> dict[str, Array]:
        """The gates that forward has saved, each (N, H), under their names."""
        gates, H = self.saved["gates"], self.saved["y"].shape[-1]
        return {name: gates[:, k * H : (k + 1) * H] for k, name in enumerate(names)}

    def before(self, h0: Array, y: Array) -> Array:
        """The state that each row started from, in the packed order of y."""
        if len(self.sizes) == 1:
            return h0
        if self.sizes[0] == self.sizes[-1]:  # they never increase: all are equal
            B = len(h0)
            return joined([y[B:], h0] if self.reverse else [h0, y[: len(y) - B]], 0)
        ends = np.cumsum(self.sizes)
        steps = range(len(ends) - 1)
        if self.reverse:
            parts = []
            for t in steps:
                n, later = self.sizes[t], self.sizes[t + 1]
                parts += [y[ends[t] : ends[t] + later], h0[later:n]]
            return joined([*parts, h0[: self.sizes[-1]]], 0)
        starts = [y[ends[t] - self.sizes[t] :][: self.sizes[t + 1]] for t in steps]
        return joined([h0, *starts], 0)


def _folded(*grads: Array | None) -> list[Array | None]:
    return [None if d is None else as_rows(d) for d in grads]


class GRULayer(Layer):
    """h' = (1 - z) n + z h  with  r = s(x W_ir + h W_hr),  z = s(x W_iz + h W_hz),
    n = tanh(x W_in + r (h W_hn));  s is the sigmoid, and the biases are left out here.

    Backward in time, with g = dL/dh':
        dn = g (1 - z) (1 - n^2)    dz = g (h - n) z (1 - z)    dr = dn (h W_hn) r (1 - r)
        dh = g z + [dr, dz, dn r] W_hh  goes to the step before.
    The gradient at the input's sums is a = [dr, dz, dn], that at the state's is c = [dr, dz, dn r].
    (Cho et al. 2014, arXiv:1406.1078; r multiplies after the product, as in cuDNN and PyTorch)
    """

    def forward(
        self,
        x: Array,
        h0: Array,
        w_ih: Array,
        w_hh: Array,
        b_ih: Array | None,
        b_hh: Array | None,
        sizes: Array,
        reverse: bool,
    ) -> tuple[Array, Array]:
        x = by_rows(x)
        gx = self.inputs(x, w_ih, b_ih, sizes, reverse)
        y, h_n, gates = self.kernels.gru(
            gx, as_rows(h0), w_hh, b_hh, sizes, reverse, packings=self.packings(3)
        )
        y = y.reshape(*x.shape[:-1], y.shape[-1])
        self.save(x=x, h0=h0, w_ih=w_ih, w_hh=w_hh, y=y, gates=gates)
        return y, h_n.reshape(h0.shape)

    def backward(self, dy: Array | None, dh_n: Array | None) -> tuple[Gradient | None, ...]:
        h0, w_hh, y, gates = (self.saved[name] for name in ("h0", "w_hh", "y", "gates"))
        dy, dh_n = _folded(dy, dh_n)
        y, h0 = as_rows(y), as_rows(h0)
        a, c, dh0 = self.kernels.gru_backward(
            dy, dh_n, gates, y, h0, w_hh, self.sizes, self.reverse, packings=self.packings(3)
        )
        return self.gradients(a, c, dh0)

    def gates(self) -> dict[str, Array]:
        return self.parts("rz")

    def candidates(self) -> dict[str, Array]:
        return {"n": self.parts("rzn")["n"]}


class LSTMLayer(Layer):
    """c' = f c + i g,  h' = o tanh c'  with  i = s(x W_ii + h W_hi),  f = s(x W_if + h W_hf),
    g = tanh(x W_ig + h W_hg),  o = s(x W_io + h W_ho);  the biases are left out here.

    Backward in time, with dh' and dc' the gradients at h' and c', and t = tanh c':
        dc' += dh' o (1 - t^2)
        a = [dc' g i (1 - i), dc' c f (1 - f), dc' i (1 - g^2), dh' t o (1 - o)]
        dc = dc' f  and  dh = a W_hh  go to the step before.
    The gradients at the two sums are equal: c = a.
    (Hochreiter and Schmidhuber 1997; the forget gate f is of Gers et al. 2000)
    """

    states = 2

    def forward(
        self,
        x: Array,
        h0: Array,
        w_ih: Array,
        w_hh: Array,
        b_ih: Array | None,
        b_hh: Array | None,
        c0: Array,
        sizes: Array,
        reverse: bool,
    ) -> tuple[Array, Array, Array]:
        x = by_rows(x)
        gx = self.inputs(x, w_ih, b_ih, sizes, reverse)
        y, h_n, c_n, gates = self.kernels.lstm(
            gx, as_rows(h0), as_rows(c0), w_hh, b_hh, sizes, reverse, packings=self.packings(3)
        )
        y = y.reshape(*x.shape[:-1], y.shape[-1])
        self.save(x=x, h0=h0, w_ih=w_ih, w_hh=w_hh, y=y, gates=gates, c0=c0)
        return y, h_n.reshape(h0.shape), c_n.reshape(c0.shape)

    def backward(
        self, dy: Array | None, dh_n: Array | None, dc_n: Array | None
    ) -> tuple[Gradient | None, ...]:
        w_hh, gates, c0 = self.saved["w_hh"], self.saved["gates"], self.saved["c0"]
        dy, dh_n, dc_n = _folded(dy, dh_n, dc_n)
        a, dh0, dc0 = self.kernels.lstm_backward(
            dy,
            dh_n,
            dc_n,
            gates,
            as_rows(c0),
            w_hh,
            self.sizes,
            self.reverse,
            packings=self.packings(3),
        )
        return *self.gradients(a, a, dh0), dc0.reshape(c0.shape)

    def gates(self) -> dict[str, Array]:
        i, f, _, o = self.parts("ifgo").values()
        return {"i": i, "f": f, "o": o}

    def candidates(self) -> dict[str, Array]:
        return {"g": self.parts("ifg")["g"]}


class RNNLayer(Layer):
    """h' = f(x W_ih + h W_hh),  f = tanh or relu;  the biases are left out here.

    Backward in time, with g = dL/dh':  a = g f'  with  f' = 1 - h'^2  or  [h' > 0];  dh = a W_hh
    goes to the step before. Almost all the work is in the products, so the loop over time is in
    Python and there is no kernel for it. (Elman 1990)
    """

    def forward(
        self,
        x: Array,
        h0: Array,
        w_ih: Array,
        w_hh: Array,
        b_ih: Array | None,
        b_hh: Array | None,
        sizes: Array,
        reverse: bool,
        nonlinearity: str,
    ) -> tuple[Array, Array]:
        x = by_rows(x)
        y = self.inputs(x, w_ih, b_ih, sizes, reverse)
        h = as_rows(h0).copy()  # the latest state of every sequence
        self.tanh = nonlinearity == "tanh"
        self.switches_off = not self.tanh
        for rows, n in steps(self.sizes, self.reverse):
            new = y[rows]
            new += self.kernels.matmul(h[:n], w_hh.T, b_hh, packings=self.packings(3))
            h[:n] = np.tanh(new, out=new) if self.tanh else np.maximum(new, 0, out=new)
        y = y.reshape(*x.shape[:-1], y.shape[-1])
        self.save(x=x, h0=h0, w_ih=w_ih, w_hh=w_hh, y=y)
        return y, h.reshape(h0.shape)

    def backward(self, dy: Array | None, dh_n: Array | None) -> tuple[Gradient | None, ...]:
        h0, w_hh, y = self.saved["h0"], self.saved["w_hh"], self.saved["y"]
        dy, dh_n = _folded(dy, dh_n)
        y = as_rows(y)
        dh = np.zeros_like(as_rows(h0)) if dh_n is None else dh_n.copy()
        a = 1 - y * y if self.tanh else (y > 0).astype(y.dtype)
        for rows, n in reversed(steps(self.sizes, self.reverse)):
            if dy is not None:
                dh[:n] += dy[rows]
            a[rows] *= dh[:n]
            dh[:n] = self.kernels.matmul(a[rows], w_hh, packings=self.packings(3))
        return self.gradients(a, a, dh)


def steps(sizes: Array, reverse: bool) -> list[tuple[slice, int]]:
    """The rows of each step of a packed batch and their number, in the order in which a layer
    runs."""
    ends = np.cumsum(sizes).tolist()
    found = [(slice(end - n, end), n) for end, n in zip(ends, sizes.tolist(), strict=True)]
    return found[::-1] if reverse else found


def gru_layer(
    input: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    batch_sizes: Array,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """One GRU layer over packed rows, in one direction: the states (N, H), and h_n (B, H).

    input (N, I), h0 (B, H), w_ih (3H, I), w_hh (3H, H), b_ih and b_hh (3H,); the gates stand in
    the order r, z, n. batch_sizes, int64 (T,): how many sequences reach each step. reverse: from
    the last step to the first.

    The axis N may be given as two, (T, B), and B as (1, B): the results then have the same axes."""
    return GRULayer.apply(input, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reverse)


def lstm_layer(
    input: Tensor,
    h0: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    batch_sizes: Array,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """One LSTM layer over packed rows: the states (N, H), and the last ones, h_n and c_n (B, H).

    Arguments as for gru_layer; c0 (B, H), w_ih (4H, I), w_hh (4H, H), b_ih and b_hh (4H,); the
    gates stand in the order i, f, g, o."""
    return LSTMLayer.apply(input, h0, w_ih, w_hh, b_ih, b_hh, c0, batch_sizes, reverse)


def rnn_layer(
    input: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    batch_sizes: Array,
    reverse: bool = False,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """One recurrent layer without gates over packed rows: the states (N, H), and h_n (B, H).

    Arguments as for gru_layer; w_ih (H, I), w_hh (H, H), b_ih and b_hh (H,); nonlinearity is
    "tanh" or "relu"."""
    return RNNLayer.apply(input, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reverse, nonlinearity)
