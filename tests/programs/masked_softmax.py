"""Attention over sequences of unequal length: what lies beyond a length is overwritten in place,
through a view of the scores."""

import math

import torch
from torch import nn


def sequence_mask(X, valid_len, value=0):
    maxlen = X.size(1)
    mask = torch.arange(maxlen, dtype=torch.float32, device=X.device)[None, :] < valid_len[:, None]
    X[~mask] = value
    return X


def masked_softmax(X, valid_lens):
    if valid_lens is None:
        return nn.functional.softmax(X, dim=-1)
    shape = X.shape
    if valid_lens.dim() == 1:
        valid_lens = torch.repeat_interleave(valid_lens, shape[1])
    else:
        valid_lens = valid_lens.reshape(-1)
    X = sequence_mask(X.reshape(-1, shape[-1]), valid_lens, value=-1e6)
    return nn.functional.softmax(X.reshape(shape), dim=-1)


class DotProductAttention(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries, keys, values, valid_lens=None):
        d = queries.shape[-1]
        scores = torch.bmm(queries, keys.transpose(1, 2)) / math.sqrt(d)
        self.attention_weights = masked_softmax(scores, valid_lens)
        return torch.bmm(self.dropout(self.attention_weights), values)


class Model(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.W_q, self.W_k = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        self.W_v, self.W_o = nn.Linear(d, d, bias=False), nn.Linear(d, 1)
        self.attention = DotProductAttention(0.0)

    def forward(self, X, valid_lens):
        return self.W_o(self.attention(self.W_q(X), self.W_k(X), self.W_v(X), valid_lens))


class MaskedLoss(nn.MSELoss):
    def forward(self, pred, label, valid_len):
        weights = torch.ones_like(label)
        weights = sequence_mask(weights, valid_len)
        self.reduction = "none"
        unweighted_loss = super().forward(pred, label)
        return (unweighted_loss * weights).mean(dim=1)


def run(start, folder):
    model, loss = Model(), MaskedLoss()
    start(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    X = torch.sin(torch.arange(3 * 5 * 8, dtype=torch.float32)).reshape(3, 5, 8)
    valid_lens = torch.tensor([2, 5, 3])
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        pred = model(X, valid_lens).squeeze(-1)
        label = X.sum(dim=-1)
        value = loss(pred, label, valid_lens)
        value.sum().backward()
        optimizer.step()
        losses.append(float(value.sum().detach()))
    per_query = torch.arange(1, 6).repeat(3, 1)
    model(X, per_query)
    weights = model.attention.attention_weights
    assert weights[0][0][1:].sum() == 0
    return losses, weights[1].tolist()
