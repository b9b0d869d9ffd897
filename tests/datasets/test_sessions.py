"""Sessions with planted causes, and MovieLens's file."""

import hashlib
from pathlib import Path

import pytest

from tinyattn.datasets import sessions
from tinyattn.text import DataError


def test_each_cause_is_the_last_item_of_the_same_series() -> None:
    follows: dict[int, set[int]] = {}
    for session in sessions.generate(2000, seed=1):
        assert len(session.items) == 20
        causes = [cause for cause in session.causes if cause >= 0]
        assert len(causes) == len(set(causes))  # a cause has one effect: then it is not the last
        assert session.causes.count(-1) <= 3
        for step, cause in enumerate(session.causes):
            assert cause < step
            if cause >= 0:
                follows.setdefault(session.items[cause], set()).add(session.items[step])
    assert len(follows) == sessions.ITEMS
    assert {len(items) for items in follows.values()} == {2}


def test_the_same_seed_gives_the_same_sessions() -> None:
    assert sessions.generate(3, 5) == sessions.generate(3, 5) != sessions.generate(3, 6)


def test_the_sessions_are_what_they_always_were() -> None:
    """Results that were printed for them hold only while each of them stays."""
    told = repr([tuple(session) for session in sessions.generate(100, 0)])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "c9facbbd8707a267"


def test_long_sessions_are_cut_after_twenty_films(tmp_path: Path) -> None:
    file = tmp_path / "u.data"
    file.write_text("".join(f"1\t{film}\t3\t{film}\n" for film in range(22)))
    found, _ = sessions.movielens(file)
    assert [len(session.items) for session in found] == [20, 2]


def test_movielens_is_read_by_user_in_the_order_of_time(tmp_path: Path) -> None:
    file = tmp_path / "u.data"
    lines = ["7\t50\t5\t300", "8\t60\t1\t5", "7\t60\t3\t100", "7\t70\t1\t200", "8\t50\t1\t4"]
    file.write_text("\n".join(lines) + "\n")
    found, films = sessions.movielens(file, steps=2)
    assert films == 3
    # Film 50 is number 0, 60 is 1, 70 is 2; the third film of user 7 is alone and left out.
    assert [session.items for session in found] == [[1, 2], [0, 1]]
    assert all(session.causes == [-1, -1] for session in found)


@pytest.mark.parametrize("line", ["1\t2\t3", "1\t2\tfive\t4", "1,2,3,4", "", "1\t2\t3.5\t4"])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "u.data"
    file.write_text(f"1\t2\t3\t4\n{line}\n")
    with pytest.raises(DataError, match=r"u.data:2: expected user, film, rating and time"):
        sessions.movielens(file)


def test_a_file_without_sessions_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "u.data"
    file.write_text("1\t2\t3\t4\n")
    with pytest.raises(DataError, match="got no user with two of them"):
        sessions.movielens(file)
