"""Morse code as one hears it on the radio: a tone that changes its speed and fades, under noise.
Look first at `generate`, then at `frames`, which turns the sound into what a model reads.

**What it is.** Letters are drawn at random, so no model can guess them from their neighbours. A dot
lasts 40 to 80 ms, a dash three dots, the gap between two letters three dots; the speed drifts
within a recording. The pitch (400 to 700 Hz) and the depth of fading differ from one recording to
the next. **What is decidable.** Every letter, as long as the tone is above the noise. **Origin and
licence.** Computed by this file; tinyattn's licence.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinyattn.datasets._arguments import whole

RATE = 2000  # samples a second
FRAME = 40  # samples in a frame: 20 ms
CODE = {
    "A": ".-", "B": "-...", "C": "-.-.", "D": "-..", "E": ".", "F": "..-.", "G": "--.",
    "H": "....", "I": "..", "J": ".---", "K": "-.-", "L": ".-..", "M": "--", "N": "-.",
    "O": "---", "P": ".--.", "Q": "--.-", "R": ".-.", "S": "...", "T": "-", "U": "..-",
    "V": "...-", "W": ".--", "X": "-..-", "Y": "-.--", "Z": "--..",
}  # fmt: skip


class Recording(NamedTuple):
    """A text, its sound, and where in the sound each letter is."""

    text: str
    sound: NDArray[np.float32]  # (samples,)
    spans: list[tuple[float, float]]  # of each letter: begin and end, in seconds


def generate(
    count: int,
    seed: int,
    noise: tuple[float, float] = (0.0, 0.4),
    letters: tuple[int, int] = (2, 4),
    seconds: float = 3.0,
) -> list[Recording]:
    """`count` recordings of `seconds` each, the same for the same seed.

    noise: the least and the largest spread of the noise; the tone has amplitude 1 before it fades.
    letters: the least and the largest number of letters. Raises ValueError where a text of that
    length may not fit into the time, even when it is sent fast, and for limits that are none.

    >>> from tinyattn.datasets import morse
    >>> recording = morse.generate(1, seed=1)[0]
    >>> recording.text, recording.sound.shape
    ('NTY', (6000,))
    """
    count, seed = whole("count", count), whole("seed", seed)
    if not 0 <= noise[0] <= noise[1] < np.inf:
        raise ValueError(f"noise: expected (least, most) with 0 <= least <= most, got {noise}")
    slowest = 16 * letters[1] * 0.04 + 0.2  # the longest letter lasts 16 dots with its gap
    if not 1 <= letters[0] <= letters[1]:
        raise ValueError(f"letters: expected (least, most) with 1 <= least <= most, got {letters}")
    if slowest > seconds:
        raise ValueError(
            f"seconds: expected at least {slowest:.1f} for {letters[1]} letters, got {seconds}"
        )
    rng = np.random.default_rng(seed)
    return [_recording(rng, noise, letters, seconds) for _ in range(count)]


def _recording(
    rng: np.random.Generator, noise: tuple[float, float], letters: tuple[int, int], seconds: float
) -> Recording:
    text = "".join(rng.choice(list(CODE), rng.integers(letters[0], letters[1] + 1)))
    lengths, owners = [], []  # in dots, of sound and silence in turn; which letter each is of
    for number, letter in enumerate(text):
        for sign in CODE[letter]:
            lengths += [3 if sign == "-" else 1, 1]
            owners += [number, number]
        lengths[-1] = 3
    units = np.array(lengths, dtype=float)
    drift = np.exp(np.cumsum(rng.normal(0, 0.03, len(units))) + rng.normal(0, 0.05, len(units)))
    units *= np.clip(drift, 0.8, 1.25)
    fastest = 0.9 * seconds / units.sum()
    dot = rng.uniform(min(0.04, fastest), min(0.08, fastest))
    begin = rng.uniform(0, seconds - dot * units.sum())
    edges = begin + dot * np.concatenate([[0.0], np.cumsum(units)])
    time = np.arange(round(seconds * RATE)) / RATE
    place = np.searchsorted(edges, time, side="right") - 1
    on = (place >= 0) & (place < len(units)) & (place % 2 == 0)
    fading = 1 - rng.uniform(0, 0.3) * np.sin(np.pi * (rng.uniform(0.1, 0.5) * time + rng.random()))
    tone = np.sin(2 * np.pi * (rng.uniform(400, 700) * time + rng.random()))
    sound = on * fading * tone + rng.uniform(*noise) * rng.normal(size=len(time))
    spans = []
    for number in range(len(text)):
        parts = [i for i, owner in enumerate(owners) if owner == number]
        spans.append((float(edges[parts[0]]), float(edges[parts[-1]])))  # without the last gap
    return Recording(text, sound.astype(np.float32), spans)


def frames(sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sounds (B, samples) as spectra (B, T, 21): for each frame of 20 ms the logarithm of the power
    in bands of 50 Hz, set against the recording's noise, which is taken from the median power. So
    silence looks alike in a quiet and in a noisy recording."""
    if sounds.ndim != 2:
        raise ValueError(f"sounds: expected the shape (B, samples), got {sounds.shape}")
    B, samples = sounds.shape
    cut = sounds[:, : samples // FRAME * FRAME].reshape(B, -1, FRAME) * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(cut)) ** 2
    floor = 10 + 4 * np.median(power, (1, 2), keepdims=True)
    return np.log1p(power / floor).astype(np.float32)
