"""Captions: a picture goes in, a sentence comes out, and attention points at what each word names.

    python examples/caption.py

The pictures (tinyattn/datasets/canvas.py) hold two to four handwritten digits; the sentence says
how they lie: "a seven left of a three". The decoder is the one that translates (Bahdanau et al.
2014; for pictures Xu et al. 2015, arXiv:1502.03044). Look first at `Captioner`. Letters: B
pictures, P patches, N words, H hidden, V words of the vocabulary.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from uses import Result, fit, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.datasets import canvas
from tinyattn.datasets.canvas import Canvas

WORDS = ["<end>", "a", "an", "left", "of", "above", *canvas.NAMES]  # <end> also begins a sentence
STRIDE = 2  # points from one patch to the next: they overlap
SIDE = (canvas.SIZE - canvas.DIGIT) // STRIDE + 1  # patches on a side


class Captioner(nn.Module):
    """Patches through a small network of their own, then the decoder with attention."""

    def __init__(self, attends: bool = True, H: int = 96) -> None:
        super().__init__()
        self.attends = attends
        self.patch = nn.Sequential(
            nn.Linear(canvas.DIGIT**2, 2 * H), nn.ReLU(), nn.Linear(2 * H, H), nn.LayerNorm(H)
        )
        self.place = nn.Parameter(ta.randn(SIDE * SIDE, H) * 0.3)
        self.embedding = nn.Embedding(len(WORDS), H)
        self.start = nn.Linear(H, H)
        self.writer = nn.GRU(2 * H, H, batch_first=True)
        self.query, self.key = nn.Linear(H, H), nn.Linear(H, H, bias=False)
        self.v = nn.Parameter(ta.randn(H) * H**-0.5)
        self.out = nn.Linear(2 * H, len(WORDS))

    def look(self, patches: ta.Tensor) -> ta.Tensor:
        """patches (B, P, points): what is seen, (B, P, H)."""
        return self.patch(patches) + self.place

    def write(
        self, word: ta.Tensor, state: ta.Tensor, last: ta.Tensor, seen: ta.Tensor, key: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor, ta.Tensor]:
        """One word (B, 1) and what was seen for the word before (B, 1, H): scores (B, 1, V) of the
        next word, the new state, what was seen for it, the weights (B, 1, P)."""
        written, state = self.writer(ta.cat((self.embedding(word), last), -1), state)
        context, weights = F.attention(
            self.query(written), key, seen, "additive", need_weights=True, v=self.v
        )
        if not self.attends:
            context = seen.mean(1, keepdim=True)
        return self.out(ta.cat((written, context), -1)), state, context, weights

    def first(self, seen: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        """The state before the first word, and what was seen: the mean of the picture."""
        mean = seen.mean(1, keepdim=True)
        return self.start(mean).tanh().transpose(0, 1), mean

    def forward(self, patches: ta.Tensor, words: ta.Tensor) -> ta.Tensor:
        """The scores (B, N, V) of each word after the right ones before it."""
        seen = self.look(patches)
        key, (state, last), scores = self.key(seen), self.first(seen), []
        for word in words.split(1, 1):
            score, state, last, _ = self.write(word, state, last, seen, key)
            scores.append(score)
        return ta.cat(scores, 1)


def patches_of(pictures: list[Canvas]) -> ta.Tensor:
    return ta.from_numpy(canvas.patches(pictures, STRIDE))


def words_of(canvases: list[Canvas]) -> tuple[ta.Tensor, ta.Tensor]:
    """The words before (B, N) and the words to write (B, N), -100 where there are none."""
    sentences = [[WORDS.index(w) for w in canvas.caption(c).split()] for c in canvases]
    longest = max(map(len, sentences)) + 1
    before = np.zeros((len(canvases), longest), dtype=np.int64)
    after = np.full((len(canvases), longest), -100)
    for row, ids in enumerate(sentences):
        before[row, 1 : len(ids) + 1] = ids
        after[row, : len(ids) + 1] = [*ids, 0]
    return ta.from_numpy(before), ta.from_numpy(after)


def train(model: Captioner, data: list[Canvas], steps: int, seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)

    def loss_of() -> ta.Tensor:
        chosen = [data[i] for i in rng.integers(0, len(data), 32)]
        before, after = words_of(chosen)
        return F.cross_entropy(model(patches_of(chosen), before).flatten(0, 1), after.flatten())

    fit(model, loss_of, steps, lr=3e-3, name=name)


@ta.no_grad()
def describe(model: Captioner, canvases: list[Canvas]) -> tuple[list[str], np.ndarray]:
    """The sentences, and the weights (B, N, P) at each word."""
    seen = model.look(patches_of(canvases))
    key, (state, last) = model.key(seen), model.first(seen)
    word, written, looks = ta.zeros(len(seen), 1, dtype=ta.int64), [], []
    for _ in range(16):
        scores, state, last, weights = model.write(word, state, last, seen, key)
        word = scores.argmax(-1)
        written.append(word.numpy()[:, 0])
        looks.append(weights.numpy()[:, 0])
    texts = [" ".join(WORDS[i] for i in row).split(" <end>")[0] for row in np.stack(written, 1)]
    return texts, np.stack(looks, 1)


def pointing(texts: list[str], looks: np.ndarray, canvases: list[Canvas]) -> tuple[float, float]:
    """Of a hundred words for digits, in right sentences: how many have the middle of their heaviest
    patch on that digit; and how many that would be by chance."""
    hits, chances = [], []
    for text, rows, picture in zip(texts, looks, canvases, strict=True):
        if text == canvas.caption(picture):
            places = [i for i, word in enumerate(text.split()) if word in canvas.NAMES]
            for place, corner in zip(places, picture.corners, strict=True):
                on = canvas.on_digit(corner, STRIDE)
                hits.append(on[rows[place].argmax()])
                chances.append(on.mean())
    return 100 * float(np.mean(hits or [0])), 100 * float(np.mean(chances or [0]))


def picture(model: Captioner, canvases: list[Canvas], path: str) -> None:
    """For two canvases, where the model looked at each digit's word."""
    from matplotlib.figure import Figure

    texts, looks = describe(model, canvases)
    figure = Figure(figsize=(10, 5.4), dpi=120)
    for row, (text, weights, drawn) in enumerate(zip(texts, looks, canvases, strict=True)):
        panels = [(i, word) for i, word in enumerate(text.split()) if word in canvas.NAMES][:4]
        for column, (i, word) in enumerate([(-1, text), *panels]):
            axes = figure.add_subplot(len(canvases), 5, 5 * row + column + 1)
            axes.imshow(drawn.points, cmap="gray_r", extent=(0, 24, 24, 0))
            if i >= 0:
                area = (3, 21, 21, 3)  # the middles of the patches are 2 points apart, 4 to 20
                axes.imshow(weights[i].reshape(SIDE, SIDE), cmap="cividis", alpha=0.6, extent=area)
            axes.set_title(word.replace(" left", "\nleft").replace(" above", "\nabove"), fontsize=8)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlim(0, 24)
            axes.set_ylim(24, 0)
    figure.tight_layout()
    figure.savefig(path)


def exact(texts: list[str], canvases: list[Canvas]) -> float:
    return 100 * float(
        np.mean([t == canvas.caption(c) for t, c in zip(texts, canvases, strict=True)])
    )


def run(args: argparse.Namespace) -> Iterator[Result]:
    steps, count, tests = (6, 200, 20) if args.quick else (1500, 20_000, 500)
    data = canvas.generate(count, args.seed)
    test = canvas.generate(tests, args.seed + 1, test=True)
    model, blind = Captioner(), Captioner(attends=False)
    train(model, data, steps, args.seed, "with attention")
    train(blind, data, steps, args.seed, "without attention")
    texts, looks = describe(model, test)
    hits, chance = pointing(texts, looks, test)
    picture(model, test[:2], str(args.out / "caption.png"))
    yield Result(
        "captions",
        "exact sentences, digits never seen in training",
        f"decoder without attention {exact(describe(blind, test)[0], test):.1f} %",
        f"{exact(texts, test):.1f} %",
        f"heaviest weight on the digit that the word names {hits:.0f} % (chance {chance:.0f} %)",
    )


if __name__ == "__main__":
    program(run, __doc__)
