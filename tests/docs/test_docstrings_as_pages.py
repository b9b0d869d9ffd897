"""docs/docstrings.py: what a docstring becomes in the reference."""

from docs.docstrings import restructured


def test_text_is_joined_and_its_signs_mean_nothing():
    assert restructured("a*b of x_i,\nand more") == [r"a\*b of x\_i, and more", ""]


def test_code_stays_code():
    assert restructured("see `x.y`, too") == ["see \\ ``x.y``\\ , too", ""]


def test_an_example_keeps_its_lines():
    assert restructured(">>> 1 + 1\n2") == [">>> 1 + 1", "2", ""]


def test_what_is_indented_and_lines_of_equations_stay_as_they_are():
    assert restructured("  a\n  b") == ["::", "", "     a", "     b", ""]
    assert restructured("r = a\nz = b") == ["::", "", "   r = a", "   z = b", ""]
    assert restructured("r = a") == ["r = a", ""]


def test_arguments_are_a_list():
    text = "It does.\ndim: an axis,\nor two\nx, y: numbers\nnote: that"
    assert restructured(text, ["dim", "x", "y"]) == [
        *("It does\\.", "", "- **dim**: an axis, or two", ""),
        *("- **x, y**: numbers note\\: that", ""),
    ]
