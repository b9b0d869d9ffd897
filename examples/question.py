"""Questions about pictures: two kinds of input meet in cross-attention.

    python examples/question.py

The pictures are those of caption.py (tinyattn/datasets/canvas.py); the questions are "how many
digits are there", "is there a seven", "what is left of the three" and "what is above the three".
The words look at the patches, in decoder blocks of a Transformer (Vaswani et al. 2017,
arXiv:1706.03762). A model that ignores the picture can still guess, so the report also gives each
question a picture of another one. Look first at `Answerer`. Letters: B questions, P patches, N
words, H hidden, V answers.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from uses import Result, fit, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.datasets import canvas
from tinyattn.datasets.canvas import NAMES, Canvas

ASKING = "how many digits are there is a an what left of above the"
WORDS = ["?", *ASKING.split(), *NAMES]
ANSWERS = ["yes", "no", *NAMES]  # how many is the name of a digit, too
LONGEST = 7  # words of a question; shorter ones end in more than one "?"
STRIDE = 2  # points from one patch to the next: they overlap
SIDE = (canvas.SIZE - canvas.DIGIT) // STRIDE + 1  # patches on a side


class Asked(NamedTuple):
    picture: Canvas
    question: str
    answer: str
    corner: tuple[int, int] | None = None  # of the digit that the answer names


class Block(nn.Module):
    """The words look at each other, then at the picture, then each is changed by itself."""

    def __init__(self, H: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(H) for _ in range(3)])
        self.words = nn.MultiheadAttention(H, 4, batch_first=True)
        self.picture = nn.MultiheadAttention(H, 4, batch_first=True)
        self.change = nn.Sequential(nn.Linear(H, 2 * H), nn.ReLU(), nn.Linear(2 * H, H))

    def forward(self, x: ta.Tensor, seen: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        """x (B, N, H) and seen (B, P, H): the new x, the weights (B, N, P) of the patches."""
        y = self.norms[0](x)
        x = x + self.words(y, y, y, need_weights=False)[0]
        looked, weights = self.picture(self.norms[1](x), seen, seen)
        x = x + looked
        return x + self.change(self.norms[2](x)), weights


class Answerer(nn.Module):
    """Patches and words, two blocks, and an answer from the first word's place."""

    def __init__(self, H: int = 96) -> None:
        super().__init__()
        self.patch = nn.Sequential(
            nn.Linear(canvas.DIGIT**2, 2 * H), nn.ReLU(), nn.Linear(2 * H, H), nn.LayerNorm(H)
        )
        self.place = nn.Parameter(ta.randn(SIDE * SIDE, H) * 0.3)
        self.word = nn.Embedding(len(WORDS), H)
        self.order = nn.Parameter(ta.randn(LONGEST, H) * 0.3)
        self.blocks = nn.ModuleList([Block(H) for _ in range(2)])
        self.norm, self.out = nn.LayerNorm(H), nn.Linear(H, len(ANSWERS))

    def forward(self, patches: ta.Tensor, words: ta.Tensor) -> tuple[ta.Tensor, ta.Tensor]:
        """patches (B, P, points), words (B, N): the scores (B, V), the weights (B, N, P) of the
        last block."""
        seen = self.patch(patches) + self.place
        x = self.word(words) + self.order
        for block in self.blocks:
            x, weights = block(x, seen)
        return self.out(self.norm(x)[:, 0]), weights


def ask(picture: Canvas, rng: np.random.Generator) -> Asked:
    """A question about a picture; each of the three kinds is equally likely."""
    kind = rng.integers(3)
    if kind == 0:
        return Asked(picture, "how many digits are there", NAMES[len(picture.digits)])
    if kind == 1:
        there = rng.random() < 0.5
        choice = picture.digits if there else sorted(set(range(10)) - set(picture.digits))
        digit = int(rng.choice(choice))
        article = "an" if digit == 8 else "a"
        return Asked(picture, f"is there {article} {NAMES[digit]}", "yes" if there else "no")
    for second in 1 + rng.permutation(len(picture.digits) - 1):
        named, asked = picture.digits[second], picture.digits[second - 1]
        if picture.digits.count(named) == 1:
            how = canvas.relation(picture.corners[second - 1], picture.corners[second])
            question = f"what is {how} the {NAMES[named]}"
            return Asked(picture, question, NAMES[asked], picture.corners[second - 1])
    return ask(picture, rng)  # all digits are the same


def patches_of(pictures: list[Canvas]) -> ta.Tensor:
    return ta.from_numpy(canvas.patches(pictures, STRIDE))


def words_of(questions: list[str]) -> ta.Tensor:
    rows = [[WORDS.index(w) for w in question.split()] for question in questions]
    return ta.tensor([row + [0] * (LONGEST - len(row)) for row in rows])


def train(model: Answerer, data: list[Canvas], steps: int, seed: int) -> None:
    rng = np.random.default_rng(seed)

    def loss_of() -> ta.Tensor:
        asked = [ask(data[i], rng) for i in rng.integers(0, len(data), 48)]
        pictures, questions = [a.picture for a in asked], [a.question for a in asked]
        scores, _ = model(patches_of(pictures), words_of(questions))
        return F.cross_entropy(scores, ta.tensor([ANSWERS.index(a.answer) for a in asked]))

    fit(model, loss_of, steps, lr=3e-3)


@ta.no_grad()
def answers(
    model: Answerer, test: list[Asked], pictures: list[Canvas]
) -> tuple[list[str], np.ndarray]:
    """The answers if these pictures are shown, and the weights (B, P) with which each was given."""
    scores, weights = model(patches_of(pictures), words_of([a.question for a in test]))
    return [ANSWERS[i] for i in scores.argmax(-1).tolist()], weights[:, 0].numpy()


def right(given: list[str], test: list[Asked]) -> float:
    """Right answers of a hundred."""
    return 100 * float(np.mean([g == a.answer for g, a in zip(given, test, strict=True)]))


def prior(test: list[Asked], train: list[Asked]) -> list[str]:
    """To each question the commonest answer it had in training: what one can know unseen."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for asked in train:
        counts[asked.question][asked.answer] += 1
    return [max(counts[a.question], key=counts[a.question].__getitem__, default="") for a in test]


def pointing(given: list[str], looks: np.ndarray, test: list[Asked]) -> tuple[float, float]:
    """Of a hundred questions after a digit that were answered rightly: how many have the middle of
    their heaviest patch on that digit; and how many that would be by chance."""
    hits, chances = [], []
    for answer, weights, asked in zip(given, looks, test, strict=True):
        if answer == asked.answer and asked.corner is not None:
            on = canvas.on_digit(asked.corner, STRIDE)
            hits.append(on[weights.argmax()])
            chances.append(on.mean())
    return 100 * float(np.mean(hits or [0])), 100 * float(np.mean(chances or [0]))


def picture(model: Answerer, test: list[Asked], path: str) -> None:
    """Four questions, each with its answer and where the model looked."""
    from matplotlib.figure import Figure

    given, looks = answers(model, test, [a.picture for a in test])
    figure = Figure(figsize=(10, 3.2), dpi=120)
    for column, (asked, answer, weights) in enumerate(zip(test, given, looks, strict=True)):
        axes = figure.add_subplot(1, len(test), column + 1)
        axes.imshow(asked.picture.points, cmap="gray_r", extent=(0, 24, 24, 0))
        area = (3, 21, 21, 3)  # the middles of the patches are 2 points apart, 4 to 20
        axes.imshow(weights.reshape(SIDE, SIDE), cmap="cividis", alpha=0.6, extent=area)
        axes.set_title(f"{asked.question}?\n{answer}", fontsize=8)
        axes.set(xticks=[], yticks=[], xlim=(0, 24), ylim=(24, 0))
    figure.tight_layout()
    figure.savefig(path)


def run(args: argparse.Namespace) -> Iterator[Result]:
    steps, count, tests = (6, 200, 40) if args.quick else (3000, 30_000, 600)
    data, rng = canvas.generate(count, args.seed), np.random.default_rng(args.seed + 1)
    test = [ask(c, rng) for c in canvas.generate(tests, args.seed + 1, test=True)]
    model = Answerer()
    train(model, data, steps, args.seed)
    given, looks = answers(model, test, [a.picture for a in test])
    others = [a.picture for a in test[1:] + test[:1]]  # each question gets another's picture
    guessed = right(prior(test, [ask(c, rng) for c in data]), test)
    hits, chance = pointing(given, looks, test)
    picture(model, [a for a in test if a.corner is not None][:4], str(args.out / "question.png"))
    yield Result(
        "questions about pictures",
        "right answers, digits never seen in training",
        f"commonest answer {guessed:.1f} %, pictures shuffled "
        f"{right(answers(model, test, others)[0], test):.1f} %",
        f"{right(given, test):.1f} %",
        f"heaviest weight on the digit asked for {hits:.0f} % (chance {chance:.0f} %)",
    )


if __name__ == "__main__":
    program(run, __doc__)
