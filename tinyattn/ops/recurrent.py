"""The recurrent layers over packed sequences; here one GRU layer in one direction.

Packed: the rows of step t stand together, batch_sizes[t] of them, longest sequence first; a padded
batch is the case of equal sizes. Letters: N rows in all, B sequences, I inputs, H hidden.
"""

from typing import Any

import numpy as np

from tinyattn.autograd.function import Function
from tinyattn.autograd.storage import Tensor
from tinyattn.kernels import backend
from tinyattn.ops.products import as_rows, rows_product


class GRULayer(Function):
    """h' = (1 - z) n + z h  with  r = s(x W_ir + h W_hr), z = s(x W_iz + h W_hz),
    n = tanh(x W_in + r (h W_hn)), biases b_ih and b_hh left out here (Cho et al. 2014,
    arXiv:1406.1078, with the reset gate behind the product, as in cuDNN and PyTorch).

    Backward in time, with g = dL/dh':
        dn = g (1 - z) (1 - n^2)    dz = g (h - n) z (1 - z)    dr = dn (h W_hn) r (1 - r)
        dh = g z + [dr, dz, dn r] W_hh  goes to the step before.
    The input side sees a = [dr, dz, dn], the hidden side c = [dr, dz, dn r]; over all rows at once
        dx = a W_ih,  dW_ih = a^T x,  db_ih = sum a,  dW_hh = c^T h,  db_hh = sum c.
    """

    fresh = True
    caching = (2, 3)

    def forward(
        self, x: Any, h0: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: Any, reverse: bool
    ) -> Any:
        k = self.kernels = backend()
        self.sizes, self.reverse = sizes, reverse
        gx = k.matmul(as_rows(x), w_ih.T, b_ih, cache=self.cache(2))
        y, h_n, gates = k.gru(gx, as_rows(h0), w_hh, b_hh, sizes, reverse, cache=self.cache(3))
        y = y.reshape(*x.shape[:-1], y.shape[-1])
        self.save(x, h0, w_ih, w_hh, y, gates)
        return y, h_n.reshape(h0.shape)

    def backward(self, dy: Any, dh_n: Any) -> Any:
        x, h0, w_ih, w_hh, y, gates = self.saved
        k = self.kernels
        x_rows, h0_rows, y = as_rows(x), as_rows(h0), as_rows(y)
        dy, dh_n = (d if d is None else as_rows(d) for d in (dy, dh_n))
        a, c, dh0 = k.gru_backward(
            dy, dh_n, gates, y, h0_rows, w_hh, self.sizes, self.reverse, cache=self.cache(3)
        )
        dx = None
        if self.needs(0):
            dx = k.matmul(a, w_ih, cache=self.cache(2)).reshape(x.shape)
        dw_ih = self.over_rows(rows_product, (a, x_rows), k) if self.needs(2) else None
        rows = (c, self.before(h0_rows, y))
        dw_hh = self.over_rows(rows_product, rows, k) if self.needs(3) else None
        db_ih = a.sum(axis=0) if self.needs(4) else None
        db_hh = c.sum(axis=0) if self.needs(5) else None
        return dx, dh0.reshape(h0.shape), dw_ih, dw_hh, db_ih, db_hh

    def before(self, h0: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The state each row started from, packed as y is."""
        if len(self.sizes) == 1:
            return h0
        ends = np.cumsum(self.sizes)
        steps = range(len(ends) - 1)
        if self.reverse:
            parts = []
            for t in steps:
                n, later = self.sizes[t], self.sizes[t + 1]
                parts += [y[ends[t] : ends[t] + later], h0[later:n]]
            return np.concatenate([*parts, h0[: self.sizes[-1]]])
        starts = [y[ends[t] - self.sizes[t] :][: self.sizes[t + 1]] for t in steps]
        return np.concatenate([h0, *starts])


def gru_layer(
    input: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    batch_sizes: np.ndarray,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """One GRU layer over packed rows: input (N, I), h0 (B, H), w_ih (3H, I), w_hh (3H, H), biases
    (3H,), batch_sizes int64 (T,); gates in the order r, z, n. Returns (N, H) and (B, H).

    N may stand as (T, B) and B as (1, B): the results then have the same axes."""
    return GRULayer.apply(input, h0, w_ih, w_hh, b_ih, b_hh, batch_sizes, reverse)
