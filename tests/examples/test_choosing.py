"""remedies.py and choose.py: what overfitting is, what is done about it, and how one chooses."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinyattn as ta

from .program import PROGRAM
from .test_uses import PNG, quick

pytest.importorskip("sklearn")

import choose
import remedies


def test_the_table_has_every_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick("remedies", tmp_path)
    rows = re.findall(
        r"^\| (.*?) \| [\d.]+ % \| [\d.]+ % \(±[\d.]+\) \|", capsys.readouterr().out, re.M
    )
    assert rows == list(remedies.REMEDIES)
    assert (tmp_path / "out" / "remedies.png").read_bytes().startswith(PNG)


def test_every_search_is_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick("choose", tmp_path)
    rows = re.findall(r"^\| (grid|random) \|", capsys.readouterr().out, re.M)
    assert rows == ["grid"] * 2 + ["random"] * 2
    assert (tmp_path / "out" / "choose.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("name", ["remedies", "choose"])
def test_they_are_short(name: str) -> None:
    assert len((PROGRAM.parent / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 200


def test_the_parts_of_the_data_are_apart() -> None:
    data = remedies.digits(0)
    parts = [data.images, data.test_images, data.unlabelled]
    assert [len(part) for part in parts] == [300, 500, 997]
    seen = [{image.tobytes() for image in part} for part in parts]
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]


def test_three_in_ten_labels_to_learn_from_are_wrong_and_none_of_the_test() -> None:
    from sklearn.datasets import load_digits

    found = load_digits()
    right = {
        image.tobytes(): label for image, label in zip(found.images / 16, found.target, strict=True)
    }
    data = remedies.digits(0)

    def share(images: np.ndarray, labels: np.ndarray) -> float:
        pairs = zip(images.astype(np.float64), labels, strict=True)
        return float(np.mean([right[image.tobytes()] != label for image, label in pairs]))

    assert share(data.images, data.labels) == pytest.approx(0.3, abs=0.06)
    assert share(data.test_images, data.test_labels) == 0
    assert set(data.labels) == set(range(10))


def test_patches_are_squares_of_two_points() -> None:
    image = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    patches = remedies.patches_of(image).numpy()
    assert patches.shape == (1, 16, 4)
    np.testing.assert_array_equal(patches[0, 0], [0, 1, 8, 9])
    np.testing.assert_array_equal(patches[0, 6], [20, 21, 28, 29])


def test_a_shifted_digit_has_moved_by_at_most_a_point() -> None:
    image = np.zeros((200, 8, 8), dtype=np.float32)
    image[:, 3, 5] = 1
    moved = remedies.shifted(image, np.random.default_rng(0))
    assert moved.shape == image.shape
    places = {(int(r), int(c)) for _, r, c in np.argwhere(moved)}
    assert places == {(r, c) for r in (2, 3, 4) for c in (4, 5, 6)}
    assert moved.sum() == 200


def test_each_remedy_changes_what_is_learned() -> None:
    data = remedies.digits(0)
    given: list[np.ndarray] = []
    outcomes: dict[str, np.ndarray] = {}

    def scores(model: remedies.Reader, images: np.ndarray, labels: np.ndarray) -> float:
        with ta.no_grad():
            given.append(model.eval()(remedies.patches_of(images[:3])).numpy().copy())
        model.train()
        return 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remedies, "accuracy", scores)
        for name, remedy in remedies.REMEDIES.items():
            remedies.learn(data, 0, 10, **remedy)
            outcomes[name] = given[-1]
    for name in outcomes.keys() - {"none"}:
        assert not np.array_equal(outcomes[name], outcomes["none"]), name


def test_early_stopping_gives_back_the_best_weights_of_the_part_held_back() -> None:
    data = remedies.digits(0)
    falling = iter([0.9, 0.5, 0.4, 0.3])
    states: list[np.ndarray] = []

    def scores(model: remedies.Reader, images: np.ndarray, labels: np.ndarray) -> float:
        states.append(model.place.detach().numpy().copy())
        return next(falling) if len(images) == 60 else 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remedies, "accuracy", scores)
        remedies.learn(data, 0, 40, stops_early=True)
    assert len(states) == 6
    np.testing.assert_array_equal(states[4], states[0])  # when it is judged it is the first
    assert not np.array_equal(states[3], states[0])


def test_accuracy_and_f1_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    rng = np.random.default_rng(0)
    found, labels = rng.integers(0, 4, (2, 100))
    right, f1 = choose.measures(found, labels)
    assert right == pytest.approx(accuracy_score(labels, found))
    assert f1 == pytest.approx(f1_score(labels, found, average="macro"))


def test_every_row_is_predicted_by_a_model_that_has_not_seen_it() -> None:
    def learn(rows: np.ndarray, labels: np.ndarray, choice: choose.Choice, seed: int) -> Any:
        assert len(rows) == len(labels) == 15
        assert choice == {"width": 3}

        def predict(others: np.ndarray) -> np.ndarray:
            assert not {*rows} & {*others}
            return others

        return predict

    rows = np.arange(20)
    assert choose.cross_validated(learn, rows, rows, {"width": 3}, 4) == (1.0, 1.0, 0.0)
    labels = np.where(rows == 3, 99, rows)
    assert choose.cross_validated(learn, rows, labels, {"width": 3}, 4)[0] == 0.95


def test_searches_have_equal_numbers_of_choices_and_chance_tries_more_rates() -> None:
    found = choose.searches(12, seed=0)
    assert len(found["grid"]) == len(found["random"]) == 12
    assert len({c["lr"] for c in found["grid"]}) == 3
    assert len({c["lr"] for c in found["random"]}) == 12
    assert all(c["H"] % 4 == 0 for c in found["random"])
