"""Summaries: a story goes in, one sentence comes out, and names never seen before are copied.

    python examples/summary.py

The stories (tinyattn/datasets/stories.py) tell who takes and gives a thing and where they go; the
summary says with whom it is, and where. The model is a pointer-generator (See, Liu, Manning 2017,
arXiv:1704.04368): each word is written from a vocabulary, or copied from where attention lies. It
reads a word by its characters (Kim et al. 2016, arXiv:1508.06615), so that no name is unknown to
it. Look first at `Summarizer`. Letters: B stories, T words of a story, N of a summary, W different
words of a batch, L characters, H hidden, V vocabulary.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from uses import Result, fit, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.datasets import stories
from tinyattn.datasets.stories import Story
from tinyattn.viz import attention_figure

END, UNKNOWN, PAD = "<end>", "<unknown>", "<pad>"  # END also begins a summary
CHARACTERS = [PAD, *"abcdefghijklmnopqrstuvwxyz", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *"?.<>"]
LONGEST = 9  # characters of a word


class Batch(NamedTuple):
    """Stories as numbers. A word's number is its row in `words`; those from V on have no place in
    the vocabulary and can only be copied."""

    words: list[str]  # the vocabulary, then the other words of the batch
    source: ta.Tensor  # (B, T), PAD at the end
    before: ta.Tensor  # (B, N), the words before
    after: ta.Tensor  # (B, N), the words to write


class Summarizer(nn.Module):
    """Reads characters, words, the story; writes or copies word after word."""

    def __init__(self, vocabulary: list[str], copies: bool = True, H: int = 96) -> None:
        super().__init__()
        self.vocabulary, self.copies = vocabulary, copies
        self.character = nn.Embedding(len(CHARACTERS), 24, padding_idx=0)
        self.letters = nn.Conv1d(24, H, kernel_size=3, padding=1)
        self.word = nn.Linear(H, H)
        self.near = nn.Conv1d(H, H, kernel_size=9, padding=4)
        self.reader = nn.GRU(H, H // 2, batch_first=True, bidirectional=True)
        self.last = nn.Conv1d(H, H, kernel_size=5)  # of the last five words
        self.writer = nn.GRU(H, H, batch_first=True)
        self.query, self.key = nn.Linear(2 * H, H), nn.Linear(2 * H, H, bias=False)
        self.norm = nn.LayerNorm(2 * H)
        self.join = nn.Linear(4 * H, H)
        self.out = nn.Linear(H, len(vocabulary))
        self.writes = nn.Linear(4 * H, 1)

    def vectors(self, ids: ta.Tensor, words: list[str]) -> ta.Tensor:
        """The vectors (..., H) of words by their numbers (...), made of characters."""
        different, place = np.unique(ids.numpy(), return_inverse=True)
        table = np.zeros((len(different), LONGEST), dtype=np.int64)
        for row, i in enumerate(different):
            spelled = [CHARACTERS.index(c) for c in words[i][:LONGEST]]
            table[row, : len(spelled)] = spelled
        characters = self.character(ta.from_numpy(table)).transpose(1, 2)  # (W, 24, L)
        words_read = self.word(self.letters(characters).relu().amax(-1)).tanh()  # (W, H)
        return words_read[ta.from_numpy(place.reshape(ids.shape))]

    def read(self, batch: Batch) -> tuple[ta.Tensor, ta.Tensor]:
        """What the decoder looks at (B, T, 2H), and its first state (1, B, H)."""
        words = self.vectors(batch.source, batch.words)
        near = self.near(words.transpose(1, 2)).transpose(1, 2).relu()
        states, last = self.reader(near)
        memory = self.norm(ta.cat((near, states), -1))
        return memory, ta.cat((last[0], last[1]), -1).unsqueeze(0)

    def write(
        self, words: ta.Tensor, state: ta.Tensor, memory: ta.Tensor, present: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        """After each of the words (B, N, H): log-probabilities (B, N, V) of writing, the share
        (B, N, 1) of writing against copying, the weights (B, N, T) of what would be copied."""
        last = self.last(F.pad(words.transpose(1, 2), (4, 0))).transpose(1, 2).relu()
        states = ta.cat((last, self.writer(last, state)[0]), -1)
        context, weights = F.attention(
            self.query(states), self.key(memory), memory, "scaled_dot", present, need_weights=True
        )
        joined = ta.cat((states, context), -1)
        share = self.writes(joined).sigmoid() if self.copies else ta.ones(*words.shape[:2], 1)
        return self.out(self.join(joined).tanh()).log_softmax(-1), share, weights

    def loss(self, batch: Batch) -> ta.Tensor:
        """-log p,  p = share p_vocabulary(word) + (1 - share) (weights where the word stands)."""
        memory, state = self.read(batch)
        words = self.vectors(batch.before, batch.words)
        scores, share, weights = self.write(words, state, memory, present(batch))
        known = batch.after < len(self.vocabulary)
        target = ta.where(known, batch.after, ta.tensor(1))  # UNKNOWN
        written = scores.gather(2, target.unsqueeze(2)).exp()
        if not self.copies:
            chance = written
        else:
            same = batch.source.unsqueeze(1) == batch.after.unsqueeze(2)  # (B, N, T)
            copied = (weights * same).sum(-1, keepdim=True)
            chance = share * written * known.unsqueeze(2) + (1 - share) * copied
        return -(chance + 1e-9).log().mean()

    @ta.no_grad()
    def summaries(self, batch: Batch) -> tuple[list[list[str]], np.ndarray]:
        """The likeliest word after each word, and the weights (B, N, T) at each."""
        memory, state = self.read(batch)
        B, V = len(batch.source), len(self.vocabulary)
        written = ta.zeros(B, 1, dtype=ta.int64)
        for _ in range(9):
            words = self.vectors(written, batch.words)
            scores, share, weights = self.write(words, state, memory, present(batch))
            chance = ta.zeros(B, len(batch.words))
            chance[:, :V] = (share * scores.exp())[:, -1]
            if self.copies:
                chance = chance.scatter_add(1, batch.source, ((1 - share) * weights)[:, -1])
            written = ta.cat((written, chance.argmax(-1, keepdim=True)), 1)
        texts = [[batch.words[i] for i in row[1:]] for row in written.tolist()]
        texts = [text[: text.index(END)] if END in text else text for text in texts]
        return texts, weights.numpy()


def present(batch: Batch) -> ta.Tensor:
    """(B, 1, T): where there is a word."""
    return (batch.source != 2).unsqueeze(1)


def batch_of(chosen: list[Story], vocabulary: list[str]) -> Batch:
    words = list(vocabulary)
    number = {word: i for i, word in enumerate(words)}
    for story in chosen:
        for word in story.words:
            if word not in number:
                number[word] = len(words)
                words.append(word)
    T = max(len(story.words) for story in chosen)
    source = [[number[w] for w in s.words] + [2] * (T - len(s.words)) for s in chosen]
    after = [[*(number[w] for w in s.summary), 0] for s in chosen]
    before = [[0, *row[:-1]] for row in after]
    return Batch(words, ta.tensor(source), ta.tensor(before), ta.tensor(after))


def train(model: Summarizer, data: list[Story], steps: int, seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)

    def loss_of() -> ta.Tensor:
        chosen = [data[i] for i in rng.integers(0, len(data), 48)]
        return model.loss(batch_of(chosen, model.vocabulary))

    fit(model, loss_of, steps, lr=4e-3, name=name)


def exact(texts: list[list[str]], test: list[Story]) -> list[int]:
    """The places of the stories whose thing, person and room are all right."""
    return [i for i, story in enumerate(test) if texts[i] == story.summary]


def run(args: argparse.Namespace) -> Iterator[Result]:
    steps, count, tests = (4, 100, 20) if args.quick else (900, 20_000, 500)
    data = stories.generate(count, args.seed)
    seen, unseen = (stories.generate(tests, args.seed + 1, test) for test in (False, True))
    vocabulary = [END, UNKNOWN, PAD, *sorted({word for story in data for word in story.summary})]
    pointer, plain = Summarizer(vocabulary), Summarizer(vocabulary, copies=False)
    train(pointer, data, steps, args.seed, "with copying")
    train(plain, data, steps, args.seed, "without copying")
    texts, looks = pointer.summaries(batch_of(unseen, vocabulary))
    right = exact(texts, unseen)
    # The name is the fifth word: "the ball is with Toma ...".
    names = [np.array(unseen[i].words) == unseen[i].holder for i in right]
    weights = [looks[i, 4, : len(name)][name].sum() for i, name in zip(right, names, strict=True)]
    row = right[0] if right else 0
    shown = looks[row, : len(texts[row]), : len(unseen[row].words)]
    attention_figure(shown, unseen[row].words, texts[row]).savefig(args.out / "summary.png")
    others = [
        100 * len(exact(plain.summaries(batch_of(part, vocabulary))[0], part)) / tests
        for part in (unseen, seen)
    ]
    yield Result(
        "summaries",
        "all facts right, names never seen in training",
        f"without copying {others[0]:.1f} % (of names seen {others[1]:.1f} %)",
        f"{100 * len(right) / tests:.1f} %",
        f"weight on the name that is copied {100 * float(np.mean(weights or [0])):.0f} %",
    )


if __name__ == "__main__":
    program(run, __doc__)
