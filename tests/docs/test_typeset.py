"""docs/typeset.py: which part of a docstring is a formula, and its TeX."""

import pytest

from docs.typeset import typeset


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("y = x.", "$y = x$."),
        ("y = log(1 + e^x);   dx = dy / (1 + e^-x).",
         r"$y = \log (1 + e^{x})$; $dx = dy / (1 + e^{-x})$."),
        ("y_i = e^x_i / sum_j e^x_j  along an axis.",
         r"$y_i = e^{x_i} / \sum _j e^{x_j}$ along an axis."),
        ("dA = g B^T", r"$dA = g B^{\top}$"),
        ("x^ = (x - m) / sqrt(v + eps)", r"$\hat{x} = (x - m) / \sqrt{v + \varepsilon }$"),
        ("dL/dy_i 1[i=j]", r"$\partial L/\partial y_i 1_{[i=j]}$"),
        ("0 <= x_(i+1) != inf", r"$0 \le  x_{i+1} \ne  \infty$"),
        ("mean(h) over rows of D features", r"$\operatorname{mean}(h)$ over rows of $D$ features"),
        ("see `mask`, a word", "see `mask`, a word"),
        ("the file ops/shape.py of key_mask", "the file `ops/shape.py` of `key_mask`"),
        ("With key_mask, as in shape.py.", "With `key_mask`, as in `shape.py`."),
        ("of shape (B, Tq, Tk)", "of shape $(B, T_q, T_k)$"),
        ("dx = g (Ba et al. 2016, arXiv:1607.06450)",
         "$dx = g$ (Ba et al. 2016, arXiv:1607.06450)"),
    ],
)  # fmt: skip
def test_formulas_are_found_among_words(text, markdown):
    assert typeset(text) == markdown


def test_lines_are_joined_but_those_that_are_indented_and_paragraphs_stay():
    assert typeset("One line\nand its end.\n\nAnother.") == "One line and its end.\n\nAnother."
    assert typeset("dx = a\n   = b") == "$dx = a$\\\n$= b$"


def test_a_line_that_begins_an_equation_is_a_formula_of_its_own():
    assert typeset("y = a\ndx = b") == "$y = a$ $dx = b$"
