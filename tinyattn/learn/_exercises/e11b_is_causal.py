"""A test that the reader writes: does an output depend on later words? A message here says which
models an answer lets pass, or refuses, since that is all that can be known of a test."""

from collections.abc import Callable, Iterator

import numpy as np

from tinyattn.learn.exercise import Exercise, Inputs, call_unnamed

Model = Callable[[np.ndarray], np.ndarray]


def is_causal(model: Callable[[np.ndarray], np.ndarray], T: int, D: int) -> bool:
    """Whether no output of a model depends on later words.

    model: a function of x with shape (T, D), one row for each word. It returns an array of the same
        shape, one row for each word.
    T: the number of words, at least 2.  D: the number of features, at least 2.
    Returns True if output t depends on the words 0 ... t only, for every t.

    You choose the x that you try. Change words, and look at which outputs change. A leak may be
    small (a thousandth), it may concern one word, one output or one feature only, and it may lie
    in squares, in differences of features, or in the direction of a word. It may raise one feature
    of an output and lower another.
    """
    raise NotImplementedError("is_causal is not written yet")


def solution(model, T, D):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, D))
    before = model(x)
    for t in range(1, T):
        other = x.copy()
        other[t:] = rng.standard_normal((T - t, D))
        if np.abs(model(other)[:t] - before[:t]).max() > 1e-6:
            return False
    return True


def always_true(model, T, D):
    """Every model passes your test. A test that can't fail shows nothing. Did you change a copy
    (x.copy()), and did the model run on both? A comparison with NaN is always False."""
    return True


def always_false(model, T, D):
    """No model passes your test, not even one that gives back its x."""
    return False


def _try(T, D, change, looked_at, tolerance=1e-6):
    """A test that changes x at t by `change` and looks at some outputs."""

    def test(model):
        x = np.random.default_rng(0).standard_normal((T, D))
        for t in range(1, T):
            off = np.abs(model(change(x.copy(), t)) - model(x))[looked_at(t)]
            if off.max(initial=0) > tolerance:
                return False
        return True

    return test


def _new(x, t):
    x[t:] = np.random.default_rng(1).standard_normal(x[t:].shape)
    return x


def _before(t: int) -> slice:
    return slice(None, t)


def last_word(model, T, D):
    """Your test finds only leaks from the last word. Change each of the words 1 ... T - 1, or all
    words from t on, and look at the outputs before t."""

    def change(x, t):
        x[-1] += [1.0, -2.0, *np.zeros(D - 2)]
        return x

    return _try(T, D, change, lambda t: slice(None, -1))(model)


def first_output(model, T, D):
    """Your test finds only leaks into the first output. Look at all outputs before the words that
    you changed."""
    return _try(T, D, _new, lambda t: slice(0, 1))(model)


def all_outputs(model, T, D):
    """Your test refuses models that are causal. That happens if it looks at outputs at or after the
    word that has changed, or if earlier words change, too: those outputs may change. Change words
    from t on only, and look only at the outputs before t."""
    return _try(T, D, _new, lambda t: slice(None))(model)


def own_word(model, T, D):
    """Your test refuses an output t that depends on word t. It may. Look only at the outputs before
    the words that you changed."""
    return _try(T, D, lambda x, t: _new(x, t), lambda t: slice(t, t + 1))(model)


def past_changed(model, T, D):
    """Your test refuses models that use the past, and lets leaks pass. That happens if it changes
    earlier words and looks at later outputs. Do it the other way round."""

    def change(x, t):
        x[:t] = np.random.default_rng(1).standard_normal(x[:t].shape)
        return x

    return _try(T, D, change, lambda t: slice(t, None))(model)


def too_tolerant(model, T, D):
    """A leak of a thousandth passes your test. That happens if it allows too large a difference.
    Without a leak, the outputs before the change are the same, but for rounding."""
    return _try(T, D, _new, _before, tolerance=0.05)(model)


def same_for_all_features(model, T, D):
    """A leak in differences of features passes your test. That happens if you add the same to all
    features of a word, or change only one of them. Change each of them by another amount."""

    def change(x, t):
        x[t:] += 1
        return x

    return _try(T, D, change, _before)(model)


def first_feature(model, T, D):
    """A leak from other features than the first passes your test. That happens if you change only
    the first feature of a word. Change all of them."""

    def change(x, t):
        x[t:, 0] += 1.5
        return x

    return _try(T, D, change, _before)(model)


def sign_changed(model, T, D):
    """A leak in squares passes your test. That happens if only the sign of later words changes.
    Give them new numbers."""

    def change(x, t):
        x[t:] *= -1
        return x

    return _try(T, D, change, _before)(model)


def one_before(model, T, D):
    """Your test looks at outputs before t - 1 when it has changed the words from t on. The output
    just before the change must not move, either: model(x)[:t]."""
    return _try(T, D, _new, lambda t: slice(None, t - 1))(model)


def inverted(model, T, D):
    """Your answers are exchanged: True means that no output depends on later words."""
    return not solution(model, T, D)


def sum_of_outputs(model, T, D):
    """A leak passes your test that raises one feature of an output and lowers another. That happens
    if you compare sums or means of the outputs. Compare number by number."""
    x = np.random.default_rng(0).standard_normal((T, D))
    return all(abs((model(_new(x.copy(), t)) - model(x))[:t].sum()) < 1e-6 for t in range(1, T))


def doubled(model, T, D):
    """A leak of the direction of a word passes your test. That happens if you only multiply words
    by a number. Give them new numbers."""

    def change(x, t):
        x[t:] *= 2
        return x

    return _try(T, D, change, _before)(model)


def gives_back(x: np.ndarray) -> np.ndarray:
    """a model that gives back its x"""
    return x.copy()


def mean_so_far(x: np.ndarray) -> np.ndarray:
    """a model that gives the mean of the words so far"""
    return np.cumsum(x, axis=0) / np.arange(1, len(x) + 1)[:, None]


def word_before(x: np.ndarray) -> np.ndarray:
    """a model that gives the word before"""
    return np.concatenate([0 * x[:1], x[:-1]])


def masked_attention(x: np.ndarray) -> np.ndarray:
    """attention with a triangular mask"""
    e = np.exp(x @ x.T) * np.tri(len(x))
    return e / e.sum(axis=1, keepdims=True) @ x


def ignores_x(x: np.ndarray) -> np.ndarray:
    """a model that gives the same for all x"""
    return np.ones_like(x)


def attention_without_mask(x: np.ndarray) -> np.ndarray:
    """attention without a mask"""
    e = np.exp(x @ x.T)
    return e / e.sum(axis=1, keepdims=True) @ x


def from_here_on(x: np.ndarray) -> np.ndarray:
    """a model that sums this word and all later ones"""
    return np.cumsum(x[::-1], axis=0)[::-1]


def word_after(x: np.ndarray) -> np.ndarray:
    """a model that adds the word after this one"""
    return x + np.concatenate([x[1:], 0 * x[:1]])


def thousandth(x: np.ndarray) -> np.ndarray:
    """a model that adds a thousandth of the word after this one"""
    return x + 0.001 * np.concatenate([x[1:], 0 * x[:1]])


def last_into_first(x: np.ndarray) -> np.ndarray:
    """a model whose first output has the last word added"""
    return np.concatenate([x[:1] + x[-1:], x[1:]])


def second_into_first(x: np.ndarray) -> np.ndarray:
    """a model whose first output has the second word added"""
    return np.concatenate([x[:1] + x[1:2], x[1:]])


def last_into_one_before(x: np.ndarray) -> np.ndarray:
    """a model whose last output but one has the last word added"""
    return np.concatenate([x[:-2], x[-2:-1] + x[-1:], x[-1:]])


def middle(x: np.ndarray) -> np.ndarray:
    """a model whose second output has the third word added"""
    out = x.copy()
    out[1] += x[2]
    return out


def last_feature_leaks(x: np.ndarray) -> np.ndarray:
    """a model that adds the last feature of the word after this one"""
    return x + np.concatenate([x[1:, -1:], 0 * x[:1, -1:]])


def squares(x: np.ndarray) -> np.ndarray:
    """a model that adds the squares of the word after this one"""
    return x + np.concatenate([x[1:], 0 * x[:1]]) ** 2


def differences(x: np.ndarray) -> np.ndarray:
    """a model that adds a difference of two features of the word after this one"""
    after = np.concatenate([x[1:], 0 * x[:1]])
    return x + after[:, :1] - after[:, 1:2]


def opposite(x: np.ndarray) -> np.ndarray:
    """a model that adds the word after this one to a feature, and subtracts it from another"""
    after = np.concatenate([x[1:, 0], [0.0]])
    out = x.copy()
    out[:, 0] += after
    out[:, 1] -= after
    return out


def direction(x: np.ndarray) -> np.ndarray:
    """a model that adds the direction of the word after this one"""
    size = np.sqrt((x**2).sum(axis=1, keepdims=True)) + 1e-300
    return x + np.concatenate([x[1:] / size[1:], 0 * x[:1]])


CAUSAL = [gives_back, mean_so_far, word_before, masked_attention, ignores_x]
LEAKS = [
    attention_without_mask, from_here_on, word_after, thousandth, last_into_first,
    second_into_first, last_into_one_before, middle, last_feature_leaks, squares, differences,
    opposite, direction,
]  # fmt: skip


def cases(rng: np.random.Generator) -> Iterator[Inputs]:
    for model in CAUSAL + LEAKS:
        yield model, 5, 3


EXERCISE = Exercise(
    ask=is_causal,
    solution=solution,
    returns=["is_causal"],
    hand=(word_after, 4, 2),
    cases=cases,
    wrong=[
        always_true, always_false, last_word, first_output, all_outputs, own_word, past_changed,
        too_tolerant, same_for_all_features, first_feature, sign_changed, one_before, inverted,
        sum_of_outputs, doubled,
    ],
    extremes={
        "two words": (last_into_first, 2, 2),
        "two words, without a leak": (mean_so_far, 2, 2),
    },
    hints=(
        "Run the model once on some random x, and keep the outputs. Then change something in x, "
        "and run it again.",
        "For each t from 1 to T - 1: give all words from t on new random numbers. The outputs "
        "before t must not change.",
        "Compare model(other)[:t] with model(x)[:t]: the largest difference must be below 1e-6, "
        "say. If it is larger for any t, the answer is False.",
    ),
    run=call_unnamed,
)  # fmt: skip
