"""Copy a sequence: label smoothing with scatter_, a warm-up of the learning rate, and a mask that
hides what comes later."""

import torch
import torch.nn as nn
from torch.optim.lr_scheduler import LambdaLR


class LabelSmoothing(nn.Module):
    def __init__(self, size, padding_idx, smoothing=0.0):
        super(LabelSmoothing, self).__init__()  # noqa: UP008
        self.criterion = nn.KLDivLoss(reduction="sum")
        self.padding_idx = padding_idx
        self.confidence = 1.0 - smoothing
        self.smoothing = smoothing
        self.size = size
        self.true_dist = None

    def forward(self, x, target):
        assert x.size(1) == self.size
        true_dist = x.data.clone()
        true_dist.fill_(self.smoothing / (self.size - 2))
        true_dist.scatter_(1, target.data.unsqueeze(1), self.confidence)
        true_dist[:, self.padding_idx] = 0
        mask = torch.nonzero(target.data == self.padding_idx)
        if mask.dim() > 0:
            true_dist.index_fill_(0, mask.squeeze(), 0.0)
        self.true_dist = true_dist
        return self.criterion(x, true_dist.clone().detach())


def subsequent_mask(size):
    attn_shape = (1, size, size)
    mask = torch.triu(torch.ones(attn_shape), diagonal=1).type(torch.uint8)
    return mask == 0


def rate(step, model_size, factor, warmup):
    step = max(step, 1)
    return factor * (model_size ** (-0.5) * min(step ** (-0.5), step * warmup ** (-1.5)))


class Copier(nn.Module):
    def __init__(self, vocab, d_model=16):
        super().__init__()
        self.embed = nn.Embedding(vocab, d_model)
        self.pos = nn.Parameter(torch.zeros(1, 10, d_model))
        layer = nn.TransformerEncoderLayer(d_model, 2, 32, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.proj = nn.Linear(d_model, vocab)

    def forward(self, x):
        mask = ~subsequent_mask(x.size(1)).squeeze(0)
        h = self.encoder(self.embed(x) + self.pos[:, : x.size(1)], mask=mask)
        return torch.log_softmax(self.proj(h), dim=-1)


def run(start, folder):
    V = 9
    model = Copier(V)
    start(model)
    criterion = LabelSmoothing(size=V, padding_idx=0, smoothing=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5, betas=(0.9, 0.98), eps=1e-9)
    scheduler = LambdaLR(optimizer, lr_lambda=lambda step: rate(step, 16, factor=1.0, warmup=10))
    losses = []
    for i in range(15):
        data = (torch.arange(24).reshape(4, 6) * (i + 1)) % (V - 1) + 1
        data[:, 0] = 1
        data[-1, 4:] = 0
        tgt, tgt_y = data[:, :-1], data[:, 1:]
        ntokens = (tgt_y != 0).data.sum()
        out = model(tgt)
        x, y = out.contiguous().view(-1, out.size(-1)), tgt_y.contiguous().view(-1)
        loss = criterion(x, y) / ntokens
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        scheduler.step()
        losses.append(loss.item())
    return losses, criterion.true_dist.tolist(), [scheduler.get_last_lr()[0]]
