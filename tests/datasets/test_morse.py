"""Recordings of Morse code: what is heard is what the code says, and it repeats with its seed."""

import numpy as np
import pytest

from tinyattn.datasets import morse


def test_the_same_seed_gives_the_same_recordings() -> None:
    one, two, other = (morse.generate(3, seed)[2] for seed in (5, 5, 6))
    assert one.text == two.text
    np.testing.assert_array_equal(one.sound, two.sound)
    assert one.spans == two.spans
    assert not np.array_equal(one.sound, other.sound)


def test_a_letter_sounds_within_its_span_and_nowhere_else() -> None:
    for recording in morse.generate(20, seed=1, noise=(0.0, 0.0)):
        assert 2 <= len(recording.text) == len(recording.spans) <= 4
        time = np.arange(len(recording.sound)) / morse.RATE
        inside = np.zeros(len(time), dtype=bool)
        for (begin, end), letter in zip(recording.spans, recording.text, strict=True):
            span = (time >= begin) & (time <= end)
            inside |= span
            # A sign is a stretch of sound: silences of more than 10 ms part them.
            loud = np.flatnonzero(span & (np.abs(recording.sound) > 0.05)) / morse.RATE
            signs = np.split(loud, np.flatnonzero(np.diff(loud) > 0.01) + 1)
            lengths = [part[-1] - part[0] for part in signs]
            assert len(lengths) == len(morse.CODE[letter])
            dashes = [n for n, sign in zip(lengths, morse.CODE[letter], strict=True) if sign == "-"]
            dots = [n for n, sign in zip(lengths, morse.CODE[letter], strict=True) if sign == "."]
            assert not dots or not dashes or min(dashes) > 1.5 * max(dots)
        assert not recording.sound[~inside].any()


def test_noise_has_the_spread_that_is_asked_for() -> None:
    for recording in morse.generate(3, seed=2, noise=(0.3, 0.3)):
        quiet = recording.sound[: int(recording.spans[0][0] * morse.RATE)]
        if len(quiet) > 400:
            assert quiet.std() == pytest.approx(0.3, rel=0.15)


def test_the_recordings_are_what_they_always_were() -> None:
    """Results that were printed for them hold only while each of them stays."""
    found = morse.generate(300, 0, letters=(1, 4))
    assert sum(sum(span) for one in found for span in one.spans) == pytest.approx(
        2117.7405199257555
    )
    one = morse.generate(2, 7)[1]
    assert one.text == "BTBD"
    np.testing.assert_allclose(
        one.spans,
        [(0.324322, 0.933874), (1.125577, 1.319212), (1.511374, 2.088224), (2.292553, 2.753099)],
        atol=1e-6,
    )
    points = [
        0.05264,
        0.00205,
        0.96945,
        -0.02425,
        -0.02526,
        -0.10031,
        -0.01512,
        0.16637,
        -0.04074,
        -0.05644,
        0.90941,
        0.06833,
        -0.93177,
        -0.03291,
    ]
    np.testing.assert_allclose(one.sound[100::450], points, atol=1e-5)


def test_frames_are_powers_of_bands_set_against_the_median() -> None:
    sound = np.random.default_rng(0).normal(size=(2, 130)).astype("f4")
    angles = 2 * np.pi * np.outer(np.arange(40), np.arange(21)) / 40
    cut = sound[:, :120].reshape(2, 3, 40) * np.hanning(40)
    power = (cut @ np.cos(angles)) ** 2 + (cut @ np.sin(angles)) ** 2
    median = np.array([np.median(one) for one in power])[:, None, None]
    expected = np.log(1 + power / (10 + 4 * median))
    np.testing.assert_allclose(morse.frames(sound), expected, rtol=1e-5)


def test_the_shortest_time_for_a_text() -> None:
    seconds = 16 * 4 * 0.04 + 0.2
    assert len(morse.generate(1, 0, seconds=seconds)[0].sound) == round(2000 * seconds)
    assert len(morse.generate(1, 0, letters=(1, 1), seconds=1)[0].text) == 1


def test_frames_show_the_pitch_as_the_loudest_band() -> None:
    time = np.arange(400) / morse.RATE
    sound = np.stack([np.sin(2 * np.pi * 500 * time), 0 * time]).astype(np.float32)
    found = morse.frames(sound)
    assert found.shape == (2, 10, 21)
    assert (found[0].argmax(1) == 10).all()  # bands of 50 Hz
    np.testing.assert_array_equal(found[1], 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"letters": (0, 3)}, r"letters: expected \(least, most\)"),
        ({"letters": (3, 2)}, "letters: expected"),
        ({"letters": (2, 9)}, "seconds: expected at least 6.0 for 9 letters, got 3.0"),
    ],
)
def test_texts_that_do_not_fit_are_refused(wrong: dict[str, tuple[int, int]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        morse.generate(1, 0, **wrong)  # type: ignore[arg-type]
