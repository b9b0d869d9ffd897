"""Convolutions: what they say of themselves, and what they refuse. What they compute is tested in
test_definitions.py."""

import pytest

from tinyattn import nn


def test_a_convolution_keeps_its_sizes():
    layer = nn.Conv1d(4, 6, 3, 2, 1, 5, 2)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 6, 2)
    assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == (
        (3,), (2,), (1,), (5,)
    )  # fmt: skip


@pytest.mark.parametrize("groups", [0, -1, 3, 4])
def test_groups_divide_the_channels_of_input_and_output(groups):
    """4 divides the 8 channels of the input alone, and 3 the 6 of the output alone."""
    message = rf"groups: expected a positive divisor of .* 8 and out_channels 6, got {groups}"
    with pytest.raises(ValueError, match=message):
        nn.Conv1d(8, 6, 3, groups=groups)


def test_the_ways_to_pad_are_named():
    with pytest.raises(ValueError, match=r"padding_mode: expected one of .*'zeros'.*, got 'wrap'"):
        nn.Conv1d(4, 6, 3, padding_mode="wrap")


@pytest.mark.parametrize(("padding", "stride"), [("full", 1), ("same", 2)])
def test_padding_by_name_is_valid_or_with_stride_1_same(padding, stride):
    with pytest.raises(ValueError, match=f"got '{padding}' with stride \\({stride},\\)"):
        nn.Conv1d(4, 6, 3, stride, padding)
    assert nn.Conv1d(4, 6, 3, 2, "valid").padding == "valid"
    assert nn.Conv1d(4, 6, 3, 1, "same").padding == "same"
