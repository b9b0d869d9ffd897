"""A recurrent network over letters: training on a batch of lines, and sampling letter by letter."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from benchmarks.models import adam


class CharRNN(nn.Module):
    def __init__(self, V, H, layers):
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.rnn = nn.LSTM(H, H, layers, batch_first=True)
        self.out = nn.Linear(H, V)

    def forward(self, letters, state=None):
        """letters (B, T): scores (B, T, V) and the state after them."""
        output, state = self.rnn(self.embedding(letters), state)
        return self.out(output), state


def training_step(V, H, layers, B, T):
    """Forward, backward, clipping to 1 and Adam."""
    torch.manual_seed(0)
    letters = torch.randint(0, V, (B, T + 1))
    model = CharRNN(V, H, layers)
    optimizer = adam(model.parameters(), torch.__name__)

    def step():
        scores, _ = model(letters[:, :-1])
        loss = F.cross_entropy(scores.reshape(-1, V), letters[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def sampling(V, H, layers, count, temperature=0.8):
    """A function that draws `count` letters, each from the scores after the one before."""
    torch.manual_seed(0)
    model = CharRNN(V, H, layers)
    model.eval()

    @torch.no_grad()
    def sample():
        letter, state, drawn = torch.zeros(1, 1, dtype=torch.long), None, []
        for _ in range(count):
            scores, state = model(letter, state)
            chances = F.softmax(scores[0, -1] / temperature, dim=0)
            letter = torch.multinomial(chances, 1).view(1, 1)
            drawn.append(letter.item())
        return drawn

    return sample
