"""DistributedSampler: parts of one order that, put together, are the whole data set."""

import pytest

import tinyattn as ta

Sampler = ta.parallel.DistributedSampler


@pytest.mark.parametrize("n", [0, 1, 6, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_parts_are_equally_long_and_make_up_the_whole(n: int, size: int, drop_last: bool) -> None:
    parts = [Sampler(range(n), size, rank, drop_last=drop_last) for rank in range(size)]
    orders = [list(part) for part in parts]
    assert {len(order) for order in orders} == {len(parts[0])}
    whole = [index for items in zip(*orders, strict=True) for index in items]
    if drop_last:
        assert len(whole) == n - n % size
        assert len(set(whole)) == len(whole)
    else:
        assert set(whole) == set(range(n))
        assert len(whole) == n + -n % size


def test_parts_belong_to_the_order_of_one_rank() -> None:
    (whole,) = [list(Sampler(range(12), 1, 0, seed=5))]
    assert [list(Sampler(range(12), 3, rank, seed=5)) for rank in range(3)] == [
        whole[rank::3] for rank in range(3)
    ]


def test_the_order_is_drawn_by_seed_and_epoch() -> None:
    sampler = Sampler(range(50), 1, 0)
    first = list(sampler)
    assert list(sampler) == first != list(range(50))
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(sampler) == list(Sampler(range(50), 1, 0, seed=1))
    assert list(Sampler(range(4), 2, 1, shuffle=False)) == [1, 3]


def test_without_options_all_is_read_and_nothing_left_out() -> None:
    assert list(Sampler(range(5), 2, 1, shuffle=False)) == [1, 3, 0]
    assert list(Sampler(range(5), shuffle=False)) == [0, 1, 2, 3, 4]
    assert list(Sampler(range(9))) == list(Sampler(range(9), 1, 0, True, 0, False))


def test_ranks_beyond_their_number_are_refused() -> None:
    with pytest.raises(ValueError, match="rank: expected 0 to 1, one of 2, got 2"):
        Sampler(range(4), 2, 2)
    with pytest.raises(ValueError, match="num_replicas: expected at least 1, got 0"):
        Sampler(range(4), 0, 0)
