"""A Seq2Seq with attention, and one training step of it.

The decoder's loop is the one a reader would write; only the projection onto the vocabulary stands
after it.
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.models import adam, sentences

PAD = 0


class Seq2Seq(nn.Module):
    def __init__(self, V, H):
        super().__init__()
        self.source = nn.Embedding(V, H, padding_idx=PAD)
        self.target = nn.Embedding(V, H, padding_idx=PAD)
        self.encoder = nn.GRU(H, H)
        self.decoder = nn.GRU(2 * H, H)
        self.out = nn.Linear(2 * H, V)

    def forward(self, source, target):
        """source (Ts, B), target (Tt, B): scores (Tt, B, V)."""
        outputs, hidden = self.encoder(self.source(source))
        memory = outputs.transpose(0, 1).contiguous()
        padding = (source == PAD).t().unsqueeze(1)
        embedded = self.target(target)
        states = []
        for t in range(len(target)):
            scores = torch.matmul(hidden.transpose(0, 1), memory.transpose(1, 2))
            weights = F.softmax(scores.masked_fill(padding, -math.inf), dim=-1)
            context = torch.matmul(weights, memory).transpose(0, 1)
            output, hidden = self.decoder(torch.cat((embedded[t : t + 1], context), 2), hidden)
            states.append(torch.cat((output, context), 2))
        return self.out(torch.cat(states, 0))


def training(H, V):
    """A function of a batch: forward, backward, clipping to 1 and Adam."""
    torch.manual_seed(0)
    model = Seq2Seq(V, H)
    optimizer = adam(model.parameters(), torch.__name__)

    def step(source, target):
        logits = model(source, target)
        loss = F.cross_entropy(logits.reshape(-1, V), target.reshape(-1), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def batch(B, T, V):
    """source and target, (T, B)."""
    return tuple(torch.tensor(tokens) for tokens in sentences(B, T, V))


def training_step(B, T, H, V):
    """The step over one batch."""
    step, (source, target) = training(H, V), batch(B, T, V)
    return lambda: step(source, target)
