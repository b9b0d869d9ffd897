"""A translator as a user writes it from the paper of Bahdanau, Cho and Bengio (2014): GRUCell, and
additive scores in plain operations. Only target words that are there reach the last layer."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.models import adam

PAD = 0


class Encoder(nn.Module):
    def __init__(self, V, H):
        super().__init__()
        self.embedding = nn.Embedding(V, H, padding_idx=PAD)
        self.gru = nn.GRU(H, H, batch_first=True, bidirectional=True)
        self.start = nn.Linear(2 * H, H)

    def forward(self, source):
        """source (B, Ts): the states (B, Ts, 2H) and the decoder's first (B, H)."""
        states, last = self.gru(self.embedding(source))
        return states, torch.tanh(self.start(torch.cat((last[0], last[1]), dim=1)))


class Attention(nn.Module):
    def __init__(self, H):
        super().__init__()
        self.query = nn.Linear(H, H)
        self.key = nn.Linear(2 * H, H, bias=False)
        self.v = nn.Linear(H, 1, bias=False)

    def forward(self, hidden, keys, states, mask):
        """hidden (B, H), keys (B, Ts, H), states (B, Ts, 2H), mask (B, Ts): context (B, 2H)."""
        energy = torch.tanh(self.query(hidden).unsqueeze(1) + keys)
        scores = self.v(energy).squeeze(2).masked_fill(mask, float("-inf"))
        weights = F.softmax(scores, dim=1)
        return torch.bmm(weights.unsqueeze(1), states).squeeze(1)


class Translator(nn.Module):
    def __init__(self, V, H):
        super().__init__()
        self.encoder = Encoder(V, H)
        self.embedding = nn.Embedding(V, H, padding_idx=PAD)
        self.attention = Attention(H)
        self.cell = nn.GRUCell(3 * H, H)
        self.out = nn.Linear(4 * H, V)

    def forward(self, source, target):
        """source (B, Ts), target (B, Tt): scores of the words that are there, (N, V)."""
        states, hidden = self.encoder(source)
        keys, mask = self.attention.key(states), source == PAD
        embedded = self.embedding(target)
        readouts = []
        for t in range(target.shape[1]):
            context = self.attention(hidden, keys, states, mask)
            word = embedded[:, t]
            hidden = self.cell(torch.cat((word, context), dim=1), hidden)
            readouts.append(torch.cat((hidden, context, word), dim=1))
        return self.out(torch.stack(readouts, dim=1)[target != PAD])


def sentences(V, B, shortest, longest):
    """B sentences (B, longest) of `shortest` to `longest` words, evenly; the rest is padding."""
    words = torch.randint(1, V, (B, longest))
    lengths = shortest + torch.arange(B) % (longest - shortest + 1)
    return words.masked_fill(torch.arange(longest) >= lengths.unsqueeze(1), PAD)


def training_step(V, H, B, shortest, longest):
    """Forward, backward, clipping to 1 and Adam."""
    torch.manual_seed(0)
    source, target = (sentences(V, B, shortest, longest) for _ in range(2))
    model = Translator(V, H)
    optimizer = adam(model.parameters(), torch.__name__)

    def step():
        loss = F.cross_entropy(model(source, target), target[target != PAD])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step
