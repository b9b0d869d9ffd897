"""Attention learns to write words backwards, from nothing but examples. Look first at `Backwards`.

A query is a place in the output. It is compared with every input letter and its place, and takes
from where it fits. Nobody tells the model where to look; the map printed at the end shows it.
"""

import sys
from string import ascii_lowercase as LETTERS

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F

LENGTH = 8  # of a word


class Backwards(nn.Module):
    """One head of attention. B words, T places, D features, V letters."""

    def __init__(self, D: int = 32) -> None:
        super().__init__()
        self.letter = nn.Embedding(len(LETTERS), D)
        self.place = nn.Embedding(LENGTH, D)
        self.query, self.key = nn.Linear(D, D), nn.Linear(D, D)
        self.out = nn.Linear(D, len(LETTERS))

    def forward(self, words: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        """words (B, T): the scores (B, T, V) of the letters to write, the weights (B, T, T)."""
        letters, places = self.letter(words), self.place.weight  # (B, T, D), (T, D)
        query, key = self.query(places), self.key(letters + places)
        weights = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1)
        return self.out(weights @ letters), weights


def train(steps: int = 40) -> Backwards:
    model = Backwards()
    optimizer = ta.optim.Adam(model.parameters(), lr=0.01)
    for step in range(1, steps + 1):
        words = ta.randint(0, len(LETTERS), (64, LENGTH))
        target = words.flip(1)
        scores, _ = model(words)
        loss = F.cross_entropy(scores.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            right = (scores.argmax(-1) == target).numpy().mean()
            print(f"step {step:2}: loss {loss.item():.3f}, {right:.0%} of the letters are right")
    return model


if __name__ == "__main__":
    ta.manual_seed(0)
    model, word = train(), "backward"
    scores, weights = model(ta.tensor([[LETTERS.index(letter) for letter in word]]))
    written = [LETTERS[i] for i in scores[0].argmax(-1).tolist()]
    print(f"\n{word} -> {''.join(written)}\n")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")  # which has the shades of the map
    print(ta.viz.attention_text(weights[0].detach(), list(word), written))
