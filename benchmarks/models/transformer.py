"""A Transformer encoder with a projection onto a vocabulary: a word is predicted at each place."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.models import adam


class Model(nn.Module):
    def __init__(self, layers, width, heads, length, V, activation):
        super().__init__()
        self.word = nn.Embedding(V, width)
        self.place = nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, activation=activation, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers)
        self.out = nn.Linear(width, V)

    def forward(self, words, mask=None):
        """words (B, T): scores (B, T, V)."""
        x = self.word(words) + self.place.weight
        return self.out(self.encoder(x, mask=mask, is_causal=mask is not None))


def training_step(layers, width, heads, B, T, V, activation, causal=False):
    """Forward, backward, clipping to 1 and Adam."""
    torch.manual_seed(0)
    words, target = torch.randint(0, V, (B, T)), torch.randint(0, V, (B, T))
    model = Model(layers, width, heads, T, V, activation)
    mask = nn.Transformer.generate_square_subsequent_mask(T) if causal else None
    optimizer = adam(model.parameters(), torch.__name__)

    def step():
        scores = model(words, mask)
        loss = F.cross_entropy(scores.view(-1, V), target.view(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step
