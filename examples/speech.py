"""Speech recognition: a sound goes in, letters come out, and attention finds each letter's time.

    python examples/speech.py               train, then report at noise it was never trained on
    python examples/speech.py --encoders    a convolution, a GRU and self-attention compared

The sound is Morse code (tinyattn/datasets/morse.py). Look first at `Listener`. Letters: B
recordings, T frames, N letters of a text, H hidden, V letters and signs.
"""

import argparse
import itertools
from collections.abc import Iterator

import numpy as np
from uses import Result, edit_distance, fit, program

import tinyattn as ta
import tinyattn.nn as nn
import tinyattn.nn.functional as F
from tinyattn.datasets import morse
from tinyattn.viz import attention_figure

SIGNS = ["<end>", *morse.CODE]  # <end> also begins a text
BANDS = morse.FRAME // 2 + 1
STRIDE = 2  # frames of 20 ms that become one
LOUD = (0.55, 0.55)  # spread of the noise in the test; training goes up to 0.4
Batch = tuple[ta.Tensor, ta.Tensor, ta.Tensor]


class Listener(nn.Module):
    """Listen, attend and spell (Chan et al. 2015, arXiv:1508.01211), small."""

    def __init__(self, encoder: str = "gru", attends: bool = True, H: int = 96) -> None:
        super().__init__()
        self.attends = attends
        self.near = nn.Conv1d(BANDS, H, kernel_size=5, stride=STRIDE, padding=2)
        self.positions = nn.SinusoidalPositions(H)
        if encoder == "gru":
            self.far: nn.Module = nn.GRU(H, H // 2, batch_first=True, bidirectional=True)
        elif encoder == "self-attention":
            layer = nn.TransformerEncoderLayer(H, 4, 2 * H, 0.0, batch_first=True, norm_first=True)
            self.far = nn.TransformerEncoder(layer, 2)
        else:
            layers = [nn.Conv1d(H, H, 9, padding=4), nn.ReLU(), nn.Conv1d(H, H, 9, padding=4)]
            self.far = nn.Sequential(*layers, nn.ReLU())
        self.encoder = encoder
        self.start = nn.Linear(H, H)
        self.embedding = nn.Embedding(len(SIGNS), H)
        self.speller = nn.GRU(H, H, batch_first=True)
        self.query, self.key = nn.Linear(H, H), nn.Linear(H, H, bias=False)
        self.v = nn.Parameter(ta.randn(H) * H**-0.5)
        self.out = nn.Linear(2 * H, len(SIGNS))

    def listen(self, frames: ta.Tensor) -> ta.Tensor:
        """frames (B, T, bands) to states (B, T / 2, H)."""
        near = self.near(frames.transpose(1, 2)).relu()  # (B, H, T / 2)
        if self.encoder == "convolution":
            return self.positions((near + self.far(near)).permute(2, 0, 1)).transpose(0, 1)
        x = near.transpose(1, 2)
        if self.encoder == "gru":
            return self.far(x)[0]
        return self.far(self.positions(x.transpose(0, 1)).transpose(0, 1))

    def spell(
        self, letters: ta.Tensor, state: ta.Tensor, heard: ta.Tensor
    ) -> tuple[ta.Tensor, ta.Tensor, ta.Tensor]:
        """The letters (B, N) before, what was heard (B, T, H): scores (B, N, V) of the next
        letters, the state, the weights (B, N, T)."""
        spelled, state = self.speller(self.embedding(letters), state)
        query = self.query(spelled)
        context, weights = F.attention(
            query, self.key(heard), heard, "additive", need_weights=True, v=self.v
        )
        if not self.attends:
            context = heard.mean(1, keepdim=True).expand(*spelled.shape)
        return self.out(ta.cat((spelled, context), -1)), state, weights

    def first_state(self, heard: ta.Tensor) -> ta.Tensor:
        return self.start(heard.mean(1)).tanh().unsqueeze(0)

    def forward(self, frames: ta.Tensor, letters: ta.Tensor) -> ta.Tensor:
        heard = self.listen(frames)
        return self.spell(letters, self.first_state(heard), heard)[0]


def batch(recordings: list[morse.Recording]) -> Batch:
    """Frames (B, T, bands), the letters before (B, N + 1), the letters to write (B, N + 1); -100
    stands where nothing is to be written."""
    frames = morse.frames(np.stack([recording.sound for recording in recordings]))
    longest = max(len(recording.text) for recording in recordings) + 1
    before = np.zeros((len(recordings), longest), dtype=np.int64)
    after = np.full((len(recordings), longest), -100)
    for row, recording in enumerate(recordings):
        ids = [SIGNS.index(letter) for letter in recording.text]
        before[row, 1 : len(ids) + 1] = ids
        after[row, : len(ids) + 1] = [*ids, 0]
    return ta.from_numpy(frames), ta.from_numpy(before), ta.from_numpy(after)


def train(model: Listener, batches: list[Batch], steps: int, name: str) -> None:
    turn = itertools.cycle(batches)

    def loss_of() -> ta.Tensor:
        frames, before, after = next(turn)
        return F.cross_entropy(model(frames, before).flatten(0, 1), after.flatten())

    fit(model, loss_of, steps, lr=4e-3, name=name)


@ta.no_grad()
def transcribe(
    model: Listener, recordings: list[morse.Recording], longest: int = 8
) -> tuple[list[str], np.ndarray]:
    """The texts, and the weights (B, longest, T) of each letter written."""
    heard = model.listen(batch(recordings)[0])
    state, letters = model.first_state(heard), ta.zeros(len(heard), 1, dtype=ta.int64)
    written, looks = [], []
    for _ in range(longest):
        scores, state, weights = model.spell(letters, state, heard)
        letters = scores.argmax(-1)
        written.append(letters.numpy()[:, 0])
        looks.append(weights.numpy()[:, 0])
    texts = ["".join(SIGNS[i] for i in row).split("<")[0] for row in np.stack(written, 1)]
    return texts, np.stack(looks, 1)


def error_rate(texts: list[str], recordings: list[morse.Recording]) -> float:
    """Letters to insert, delete and change, of a hundred in the right text."""
    wrong = sum(edit_distance(text, r.text) for text, r in zip(texts, recordings, strict=True))
    return 100 * wrong / sum(len(recording.text) for recording in recordings)


def pointing(
    texts: list[str], looks: np.ndarray, recordings: list[morse.Recording]
) -> tuple[float, float]:
    """Of a hundred letters in right texts: where the heaviest weight lies in the letter's own time,
    and how many that would be by chance."""
    hits, chances = [], []
    second = STRIDE * morse.FRAME / morse.RATE  # a frame's length after the convolution
    for text, rows, recording in zip(texts, looks, recordings, strict=True):
        if text == recording.text:
            for (begin, end), row in zip(recording.spans, rows, strict=False):
                # The convolution and the GRU report a letter when it is over: the gap counts too.
                place = row.argmax() * second
                hits.append(begin - second <= place <= end + 3 * second)
                chances.append((end - begin + 4 * second) / (len(row) * second))
    return 100 * float(np.mean(hits or [0])), 100 * float(np.mean(chances or [0]))


def picture(model: Listener, recording: morse.Recording, path: str) -> None:
    """The attention map of one recording, with the time under it."""
    texts, looks = transcribe(model, [recording])
    rows = looks[0][: max(len(texts[0]), 1)]
    ticks = [f"{0.04 * i:.1f}" if i % 10 == 0 else "" for i in range(rows.shape[1])]
    title = f"Morse code {recording.text}: where each letter was heard (seconds)"
    figure = attention_figure(rows, ticks, list(texts[0]) or [""], title)
    figure.figure.set_size_inches(10, 3)
    figure.savefig(path)


def run(args: argparse.Namespace) -> Iterator[Result]:
    steps, count, tests = (6, 2, 8) if args.quick else (1300, 200, 400)
    test = morse.generate(tests, args.seed, noise=LOUD)
    batches = [batch(morse.generate(48, 1000 * (args.seed + 1) + i)) for i in range(count)]
    errors = {}
    for name in ("convolution", "self-attention", "gru") if args.encoders else ("gru",):
        ta.manual_seed(args.seed)  # each encoder begins alike
        model = Listener(name)
        train(model, batches, steps, name)
        texts, looks = transcribe(model, test)
        errors[name] = error_rate(texts, test)
        hits, chance = pointing(texts, looks, test)
        print(f"{name}: {errors[name]:.1f} % of letters wrong, {hits:.0f} % of weights in place")
    picture(model, test[0], str(args.out / "speech.png"))
    if args.encoders:
        return
    blind = Listener(attends=False)
    train(blind, batches, steps, "without attention")
    yield Result(
        "speech",
        "letter errors at noise never trained on",
        f"decoder without attention {error_rate(transcribe(blind, test)[0], test):.1f} %",
        f"{errors['gru']:.1f} %",
        f"heaviest weight within the letter's time {hits:.0f} % (chance {chance:.0f} %)",
    )


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoders", action="store_true", help="compare three encoders")


if __name__ == "__main__":
    program(run, __doc__, options)
