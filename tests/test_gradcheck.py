"""The checker proves its own power: every seeded fault is caught, what is right passes, and what
can't be checked is refused. Look at RIGHT and FAULTS first.
"""

import re

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import GradcheckError, gradcheck, gradcheck_module
from tinyattn._gradcheck import _derivative, _outputs, _same, _table
from tinyattn.autograd import Function


def random(*shape, seed=0, **options):
    array = np.random.default_rng(seed).normal(size=shape)
    return ta.tensor(array, requires_grad=True, **options)


def operation(forward, backward):
    """A function on tensors from two functions on arrays; backward gets (inputs, output, grad)."""

    class Made(Function):
        def forward(self, *inputs):
            y = forward(*inputs)
            self.save(y=y, **{f"x{i}": x for i, x in enumerate(inputs)})
            return y

        def backward(self, grad):
            y, *inputs = self.saved.values()
            return backward(inputs, y, grad)

    return Made.apply


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cumulate(x):
    return np.cumsum(np.tanh(x), axis=0)


def cumulate_backward(x, grad):
    return np.cumsum(grad[::-1], axis=0)[::-1] * (1 - np.tanh(x) ** 2)


def one_element(dx):
    dx = np.array(dx)
    dx[0, 1] *= 1.001
    return dx


# forward, shapes of the inputs, the right backward, and wrong ones by name
OPERATIONS = {
    "product": (
        lambda x, y: x * y,
        [(3, 4), (3, 4)],
        lambda xs, y, g: (g * xs[1], g * xs[0]),
        {
            "swapped": lambda xs, y, g: (g * xs[0], g * xs[1]),
            "dropped": lambda xs, y, g: (g * xs[1], np.zeros_like(g)),
            "sign": lambda xs, y, g: (g * xs[1], -g * xs[0]),
            "seed ignored": lambda xs, y, g: (xs[1], xs[0]),
        },
    ),
    "broadcast product": (
        lambda x, y: x * y,
        [(3, 4), (4,)],
        lambda xs, y, g: (g * xs[1], (g * xs[0]).sum(axis=0)),
        {
            "sum forgotten": lambda xs, y, g: (g * xs[1], (g * xs[0])[0]),
            "mean for sum": lambda xs, y, g: (g * xs[1], (g * xs[0]).mean(axis=0)),
        },
    ),
    "softmax": (
        softmax,
        [(3, 5)],
        lambda xs, y, g: y * (g - (g * y).sum(axis=-1, keepdims=True)),
        {
            "zero": lambda xs, y, g: np.zeros_like(y),
            "dropped": lambda xs, y, g: y * g,
            "factor 37": lambda xs, y, g: 37 * y * (g - (g * y).sum(axis=-1, keepdims=True)),
            "factor 1.001": lambda xs, y, g: 1.001 * y * (g - (g * y).sum(axis=-1, keepdims=True)),
            "axis": lambda xs, y, g: y * (g - (g * y).sum(axis=0, keepdims=True)),
            "NaN": lambda xs, y, g: np.full_like(y, np.nan),
        },
    ),
    "tanh": (
        np.tanh,
        [(3, 4)],
        lambda xs, y, g: g * (1 - y * y),
        {
            "square forgotten": lambda xs, y, g: g * (1 - y),
            "input for output": lambda xs, y, g: g * (1 - xs[0] ** 2),
            "sign": lambda xs, y, g: -g * (1 - y * y),
            "one element by 1.001": lambda xs, y, g: one_element(g * (1 - y * y)),
            "transposed": lambda xs, y, g: (g * (1 - y * y)).reshape(4, 3).T,
        },
    ),
    "recurrence": (
        cumulate,
        [(6, 2)],
        lambda xs, y, g: cumulate_backward(xs[0], g),
        {
            "off by one": lambda xs, y, g: cumulate_backward(xs[0], np.roll(g, 1, axis=0)),
            "last step lost": lambda xs, y, g: cumulate_backward(xs[0], g) - g * [[0]] * 5 + [[1]],
            "wrong direction": lambda xs, y, g: np.cumsum(g, 0) * (1 - np.tanh(xs[0]) ** 2),
        },
    ),
    "mask": (
        lambda x: np.where(np.arange(4) < 2, x * x, 0.0),
        [(3, 4)],
        lambda xs, y, g: np.where(np.arange(4) < 2, 2 * g * xs[0], 0.0),
        {"ignored": lambda xs, y, g: 2 * g * xs[0]},
    ),
}
FAULTS = [(name, fault) for name, (*_, faults) in OPERATIONS.items() for fault in faults]


def make_inputs(shapes):
    return tuple(random(*shape, seed=i) for i, shape in enumerate(shapes))


@pytest.mark.parametrize("name", OPERATIONS)
def test_right_gradients_pass(name):
    forward, shapes, backward, _ = OPERATIONS[name]
    assert gradcheck(operation(forward, backward), make_inputs(shapes))


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_faults_are_caught(name, fault):
    forward, shapes, _, faults = OPERATIONS[name]
    with pytest.raises(GradcheckError, match=r"gradients are wrong at \d+ of \d+ elements"):
        gradcheck(operation(forward, faults[fault]), make_inputs(shapes))


@pytest.mark.parametrize("seed", range(5))
def test_faults_are_caught_for_every_seed(seed):
    forward, shapes, _, faults = OPERATIONS["softmax"]
    for fault in faults.values():
        assert not gradcheck(
            operation(forward, fault), make_inputs(shapes), seed=seed, raise_exception=False
        )


def test_the_table_names_the_worst_elements():
    wrong = operation(lambda x: x**2, lambda xs, y, g: g * (2 * xs[0] + np.diag([0.0, 5, 0.1])))
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, random(3, 3))
    lines = str(caught.value).splitlines()
    assert lines[0] == "gradients are wrong at 2 of 9 elements; the worst:"
    assert lines[1].split() == ["analytic", "numeric", "difference", "error", "est."]
    assert lines[2].startswith("input 0 at index (1, 1)")
    assert lines[3].startswith("input 0 at index (2, 2)")
    analytic, numeric, difference, error = map(float, lines[2].split(")")[1].split())
    assert 2.4 < abs(difference) < 7.6  # 5 times a cotangent between 0.5 and 1.5
    assert analytic - numeric == pytest.approx(difference, rel=1e-2)
    assert error < 1e-8


def test_a_long_table_is_cut():
    wrong = operation(lambda x: x * 3, lambda xs, y, g: g * 4)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(wrong, random(20, 5))
    assert "at 100 of 100 elements" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 12


def test_several_outputs_each_count():
    def fn(x):
        return x * 2, (x * x, [x * 3])

    class Halved(Function):
        def forward(self, x):
            return x * 2, x * x

        def backward(self, double, square):
            return double * 2  # nothing from the square

    assert gradcheck(fn, random(3))
    with pytest.raises(GradcheckError, match="gradients are wrong"):
        gradcheck(Halved.apply, random(3))


def test_a_detached_output_is_named():
    with pytest.raises(GradcheckError, match=r"no gradient leads from output 1: .*detached"):
        gradcheck(lambda x: (x * 2, x.detach() * 3), random(3))


def test_constant_and_integer_outputs_are_left_out():
    assert gradcheck(lambda x: (x * 2, ta.ones(3, dtype=ta.float64), x.long()), random(3))


def test_other_inputs_are_passed_on():
    index = ta.tensor([2, 0])
    constant = ta.tensor(np.array([2.0, 3.0]))
    assert gradcheck(lambda x, i, c, k: x[i] * c * k, (random(3), index, constant, 0.5))


# Refusals


def test_a_kink_is_refused_by_name():
    x = random(2, 3)
    with ta.no_grad():
        x[1, 2] = 0.0
    for kinked in (ta.relu, ta.abs):
        with pytest.raises(GradcheckError, match=r"too close to a kink: input 0 at index \(1, 2\)"):
            gradcheck(kinked, x)


@pytest.mark.parametrize("distance", [1e-10, 1e-9, 7e-9])
def test_a_kink_within_reach_is_refused(distance):
    x = ta.tensor(np.array([1.0, distance, -1.0]), requires_grad=True)
    with pytest.raises(GradcheckError, match=r"too close to a kink: input 0 at index \(1\)"):
        gradcheck(ta.relu, x)


@pytest.mark.parametrize("distance", [1e-5, -1e-4, 1e-3, -1e-2])
def test_a_kink_further_off_does_no_harm(distance):
    x = ta.tensor(np.array([1.0, distance, -1.0]), requires_grad=True)
    assert gradcheck(ta.relu, x)
    assert not gradcheck(lambda x: ta.relu(x) * x.detach(), x, raise_exception=False)


def test_a_tie_and_a_step_are_kinks():
    x, y = random(3), random(3)
    with pytest.raises(GradcheckError, match=r"too close to a kink.* and 5 more"):
        gradcheck(ta.maximum, (x, y))
    step = operation(np.floor, lambda xs, y, g: np.zeros_like(g))
    with pytest.raises(GradcheckError, match="too close to a kink"):
        gradcheck(step, ta.tensor(np.array([0.5, 2.0]), requires_grad=True))


def test_a_pole_beside_the_input_is_stepped_around():
    x = ta.tensor(np.array([1e-5, 0.1, 30.0]), requires_grad=True)
    assert gradcheck(ta.log, x)


def test_random_functions_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match=r"fix the seed; output 1 differs .* input 0"):
        gradcheck(lambda x: (x, x * float(rng.random())), random(3))
    with pytest.raises(GradcheckError, match=r"fix the seed; output \d+ differs"):
        gradcheck(lambda x: (x,) * int(rng.integers(1, 1000)), random(3))


def test_the_global_generator_stays_as_it_is():
    ta.manual_seed(1)
    expected = ta.randn(3).tolist()
    ta.manual_seed(1)
    np.random.seed(0)  # noqa: NPY002
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002
    gradcheck(ta.tanh, random(3))
    assert ta.randn(3).tolist() == expected
    assert (np.random.get_state()[1] == legacy).all()  # noqa: NPY002


def test_an_unreached_input_is_refused():
    with pytest.raises(GradcheckError, match="no gradient reaches input 1"):
        gradcheck(lambda x, y: x * 2, (random(3), random(3)))
    with pytest.raises(GradcheckError, match="no gradient reaches input 0"):
        gradcheck(lambda x: x.detach() * 2, random(3))


def test_a_gradient_of_zeros_is_compared_and_none_is_refused():
    constant = operation(np.ones_like, lambda xs, y, g: np.zeros_like(g))
    assert gradcheck(constant, random(3))
    wrong = operation(np.ones_like, lambda xs, y, g: g * 1e-6)
    with pytest.raises(GradcheckError, match="gradients are wrong at 3 of 3"):
        gradcheck(wrong, random(3))
    nothing = operation(np.ones_like, lambda xs, y, g: None)
    with pytest.raises(GradcheckError, match="no gradient reaches input 0"):
        gradcheck(nothing, random(3))


def test_no_slope_is_accepted_at_a_kink():
    x = ta.tensor(np.array([0.0]), requires_grad=True)
    for slope in (0.0, 0.5, 1.0):  # that of one side, the mean, that of the other
        corner = operation(lambda x: np.maximum(x, 0), lambda xs, y, g, s=slope: g * s)
        with pytest.raises(GradcheckError, match=r"too close to a kink: input 0 at index \(0\)"):
            gradcheck(corner, x)


def test_a_function_that_no_step_resolves_is_refused():
    x = ta.tensor(np.array([0.3]), requires_grad=True)
    rough = operation(lambda x: np.sin(1e13 * x), lambda xs, y, g: g * 1e13 * np.cos(1e13 * xs[0]))
    with pytest.raises(GradcheckError, match=r"too close to a kink: input 0 .* too uncertain"):
        gradcheck(rough, x)


def test_float32_is_refused():
    with pytest.raises(TypeError, match=r"input 1 is float32; .* needs float64"):
        gradcheck(lambda x, y: x * y, (random(3), random(3, dtype=ta.float32)))
    with pytest.raises(GradcheckError, match="output 0 is float32"):
        gradcheck(lambda x: x.float(), random(3))


def test_nothing_to_check_is_refused():
    with pytest.raises(ValueError, match="inputs: none of them requires grad"):
        gradcheck(lambda x: x, ta.tensor(np.ones(3)))


def test_an_output_that_is_not_finite_is_refused():
    with pytest.raises(GradcheckError, match="output 0 isn't finite"):
        gradcheck(ta.log, ta.tensor(np.array([0.0, 1.0]), requires_grad=True))


# What else a backward can do wrong


def test_a_backward_that_changes_things_is_caught():
    def changes_grad(xs, y, g):
        g *= 2
        return g

    def changes_input(xs, y, g):
        xs[0] += 1
        return g * 2

    def changes_output(xs, y, g):
        y += 1
        return g * 2

    for backward, message in (
        (changes_grad, "other gradients|gradient that it was given"),
        (changes_input, "input 0 itself was changed"),
        (changes_output, "backward changed the outputs"),
    ):
        with pytest.raises(GradcheckError, match=message):
            gradcheck(operation(lambda x: x * 2, backward), random(3))


def test_a_forward_that_changes_its_input_is_caught():
    def forward(x):
        x *= 2
        return x + 1

    with pytest.raises(GradcheckError, match="input 0 itself was changed"):
        gradcheck(operation(forward, lambda xs, y, g: g), random(3))


def test_a_backward_with_a_memory_is_caught():
    calls = []

    def backward(xs, y, g):
        calls.append(1)
        return g * 2 * len(calls)

    with pytest.raises(GradcheckError, match=r"a second backward .* other gradients"):
        gradcheck(operation(lambda x: x * 2, backward), random(3))


def test_what_is_kept_without_a_version_is_caught():
    class SavesView(Function):
        def forward(self, x):
            self.save(x=x.reshape(-1))
            return x * x

        def backward(self, grad):
            return 2 * grad * self.saved["x"].reshape(grad.shape)

    class KeepsAside(SavesView):
        def forward(self, x):
            y = np.exp(x)
            self.kept = [y]
            return y

        def backward(self, grad):
            return grad * self.kept[0]

    with pytest.raises(GradcheckError, match="SavesView keeps memory of input 0 without its ver"):
        gradcheck(SavesView.apply, random(2, 3))
    with pytest.raises(GradcheckError, match="KeepsAside keeps memory of output 0 without its ver"):
        gradcheck(KeepsAside.apply, random(2, 3))


# Layouts


def layouts():
    base = np.random.default_rng(3).normal(size=(6, 8))
    yield "transposed", base.T
    yield "strided", base[::2, 1::3]
    yield "reversed", base[::-1, ::-2]
    yield "expanded", np.broadcast_to(base[:1], (4, 8))
    yield "windows", np.lib.stride_tricks.sliding_window_view(base[0], 3)
    yield "scalar", base[0, 0:1].reshape(())
    yield "empty", base[:0]
    yield "ones", base[:1, None, ::-1, None]
    yield "field", np.array([(0.5, 1), (1.5, 2)], [("x", "f8"), ("n", "i4")])["x"]


@pytest.mark.parametrize(
    ("name", "array"), list(layouts()), ids=lambda v: v if type(v) is str else ""
)
def test_layouts(name, array):
    from tinyattn.autograd.storage import results

    x = results.wrap(array).requires_grad_()
    before = array.copy()
    seen = []

    def fn(t):
        seen.append(t._array.strides)
        assert len(seen) > 1 or (t._array == before).all()
        return t * t

    assert gradcheck(fn, x)
    if array.size > 1:
        assert not gradcheck(lambda t: t * t.detach(), x, raise_exception=False)
    assert (x._array == before).all()
    assert x.grad is None
    contiguous = name in ("expanded", "windows", "field")
    assert set(seen) == {np.empty(array.shape).strides if contiguous else array.strides}


def test_views_of_tensors_that_need_gradients_are_inputs_of_their_own():
    base = random(3, 4)
    assert gradcheck(lambda v: v * v, base.reshape(4, 3)[1:])
    assert base.grad is None


def test_the_same_tensor_twice_is_two_inputs():
    x = random(3)
    assert gradcheck(lambda a, b: a * b, (x, x))


def test_it_works_under_no_grad_and_leaves_it():
    with ta.no_grad():
        assert gradcheck(ta.tanh, random(3))
        assert not ta.is_grad_enabled()


def test_large_and_small_values():
    x = np.array([1e4, -1e4, 1e-8, 300.0, 0.0])
    assert gradcheck(lambda t: t.tanh() + t * 1e-3, ta.tensor(x, requires_grad=True))
    assert gradcheck(lambda t: (t / 100).exp(), ta.tensor(x[2:], requires_grad=True))


# Models


class Cell(ta.nn.Module):
    def __init__(self, fn=ta.tanh, dropout=0.0):
        super().__init__()
        self.inner = ta.nn.Sequential(ta.nn.Linear(3, 4), ta.nn.Dropout(dropout))
        self.fn = fn
        self.double()

    def forward(self, x):
        return self.fn(self.inner(x))


def test_a_model_passes_with_and_without_a_loss():
    x = random(2, 3)
    assert gradcheck_module(Cell(), x)
    assert gradcheck_module(Cell(), (x,), lambda y: (y * y).sum())
    assert all(parameter.grad is None for parameter in Cell().parameters())


def test_a_model_fault_names_parameter_and_index():
    model = Cell()

    def only_one(y):
        return y + model.inner[0].weight.detach()[1, 2]

    model.fn = only_one
    with pytest.raises(GradcheckError, match=r"(?m)^inner\.0\.weight\[1, 2\] ") as caught:
        gradcheck_module(model, random(2, 3))
    assert "at 1 of 22 elements" in str(caught.value)


def test_a_wrong_loss_and_a_wrong_input_gradient_are_found():
    wrong = operation(np.sin, lambda xs, y, g: g)
    with pytest.raises(GradcheckError, match="gradients are wrong"):
        gradcheck_module(Cell(), random(2, 3), lambda y: wrong(y).sum())
    model = ta.nn.Linear(3, 4).double()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with pytest.raises(GradcheckError, match=r"(?m)^input 0 at index \(0, \d\)"):
        gradcheck_module(model, random(1, 3), wrong)


def test_large_parameters_are_sampled_with_the_seed():
    model = ta.nn.Linear(20, 10).double()
    row = operation(lambda y: y * 1.0, lambda xs, y, g: g * 1.5)
    counted = []
    for seed in (0, 0, 1):
        with pytest.raises(GradcheckError) as caught:
            gradcheck_module(model, ta.ones(2, 20).double(), row, samples=6, seed=seed)
        message = str(caught.value)
        assert "at 12 of 12 elements" in message
        counted.append(set(re.findall(r"weight\[\d+, \d+\]", message)))
    assert counted[0] == counted[1] != counted[2]


def test_a_float32_model_is_refused_by_its_first_parameter():
    with pytest.raises(TypeError, match=r"model: inner\.0\.weight is float32; use model\.double"):
        gradcheck_module(Cell().float(), random(2, 3))


def test_dropout_in_training_is_refused_and_passes_in_evaluation():
    model = Cell(dropout=0.5)
    with pytest.raises(GradcheckError, match="random: fix the seed"):
        gradcheck_module(model, random(20, 3))
    assert gradcheck_module(model.eval(), random(2, 3))


def test_an_unreached_parameter_is_refused():
    model = Cell()
    model.spare = ta.nn.Linear(2, 2).double()
    with pytest.raises(GradcheckError, match=r"no gradient reaches spare\.weight"):
        gradcheck_module(model, random(2, 3))
    for parameter in model.spare.parameters():
        parameter.requires_grad_(False)
    assert gradcheck_module(model, random(2, 3))


def test_parameters_and_their_grads_are_left_as_they_were():
    model = Cell()
    (model(random(2, 3)) ** 2).sum().backward()
    before = [(p.tolist(), p.grad.tolist()) for p in model.parameters()]
    gradcheck_module(model, random(2, 3))
    assert before == [(p.tolist(), p.grad.tolist()) for p in model.parameters()]


def test_an_output_that_is_a_view_of_the_input_is_checked_too():
    x = ta.randn(2, 3, dtype=ta.float64, requires_grad=True)
    assert ta.gradcheck(lambda x: x.T, (x,))
    assert ta.gradcheck(lambda x: (x[0], x.view(6)), (x,))


@pytest.mark.parametrize(
    ("function", "value", "error"),
    [
        (lambda s: 3 * s, 3, 0),
        (lambda s: -3 * s + s**2 + 5 * s**3 + 7 * s**4, -3, 0),
        (abs, 0, 1),  # the slope jumps by 2
        (lambda s: 2 * s + (s if s > 0 else 0), 2.5, 0.5),
        (lambda s: s**5, 0, 1 / 4),  # of the step without h^2, (4/16 - 1) / 3
        (lambda s: s**6, 0, (8 * (2 / 512 - 1 / 16) - (1 / 8 - 2)) / 14),
        (lambda s: s**7, (16 * (4 / 4096 - 1 / 64) / 3 - (4 / 64 - 1) / 3) / 15, None),
    ],
)
def test_the_numeric_derivative_has_no_term_up_to_the_sixth_power(function, value, error):
    got, uncertain = _derivative(function, 1.0)
    assert got == pytest.approx(value, abs=1e-12)
    if error is not None:
        assert uncertain == pytest.approx(error, abs=1e-12)


def test_the_table_has_the_ten_worst_elements():
    wrong = [(f"x[{i}]", 2.0, 2.0 - i / 4, 1e-9) for i in range(9)]
    wrong += [("longer[1]", np.nan, 1.0, 1e-9), ("w[0]", -5.0, 5.0, 0.5)]
    open_end, constant = random(2), ta.ones(2)
    lines = _table(wrong, 30, [constant, open_end, constant]).split("\n")
    order = ["longer[1]", "w[0]", *[f"x[{i}]" for i in range(8, 0, -1)]]
    assert lines[0] == "gradients are wrong at 11 of 30 elements; the worst:"
    assert (
        lines[1] == f"{'':9} {'analytic':>15} {'numeric':>15} {'difference':>11} {'error est.':>11}"
    )
    assert [line.split()[0] for line in lines[2:-1]] == order
    assert lines[3] == f"{'w[0]':9} {-5:15} {5:15} {-10:11} {0.5:11}"
    assert lines[4] == f"{'x[8]':9} {2:15} {0:15} {2:11} {'1e-09':>11}"
    assert lines[-1] == "(no gradient leads from output 0, 2: a constant, or detached)"
    assert len(_table(wrong[:1], 30, [open_end]).split("\n")) == 3


def test_the_same_arrays_are_as_many_and_as_large():
    one, two, odd = np.ones(2), np.ones((1, 2)), np.array([1.0, np.nan])
    assert _same([], [])
    assert _same([one, odd], [one.copy(), odd.copy()])
    assert not _same([one], [two])
    assert not _same([one], [one, one])
    assert not _same([one, one], [one])
    assert not _same([one, one], [one, odd])


def test_outputs_are_the_tensors_of_floats_inside_tuples_too():
    a, b, c = ta.ones(1), ta.ones(2), ta.ones(3)
    found = _outputs((a, [b, (c, 3, None)], ta.tensor([1]), np.ones(4)))
    assert [x.shape for x in found] == [(1,), (2,), (3,)]
    assert [x.shape for x in _outputs(a)] == [(1,)]
    assert _outputs(None) == []


def test_all_elements_that_can_not_be_checked_are_counted():
    for values, more in (([1.0, 0.0, 0.0], " and 1 more"), ([1.0, 0.0, 2.0], "")):
        x = ta.tensor(values, dtype=ta.float64, requires_grad=True)
        says = rf"^too close to a kink: input 0 at index \(1\) \([^)]*\){more}; the numeric"
        with pytest.raises(GradcheckError, match=says):
            gradcheck(lambda x: x.abs(), x)


def weights(shape, seed=0):
    """The gradients at the outputs: between 0.5 and 1.5 in size, of either sign."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)


def numbers(error):
    """Analytic and numeric gradients in the table of an error."""
    rows = re.findall(r"^(.*?) +([-.\de]+) +([-.\de]+) +\S+ +\S+$", str(error.value), re.M)
    return [(name, float(analytic), float(numeric)) for name, analytic, numeric in rows]


double = operation(lambda x: 3 * x, lambda xs, y, g: 2 * g)  # its gradient should be 3 g


def test_the_outputs_have_random_weights_of_either_sign():
    c = weights(8)
    assert (c < 0).any()
    assert (c > 0).any()
    for outputs in (double, lambda x: (double(x),)):
        with pytest.raises(GradcheckError) as error:
            gradcheck(outputs, ta.zeros(8, dtype=ta.float64, requires_grad=True))
        found = {name: values for name, *values in numbers(error)}
        for i in range(8):
            assert found[f"input 0 at index ({i})"] == pytest.approx([2 * c[i], 3 * c[i]])


def test_the_steps_that_are_tried():
    """From eps max(1, |x|); larger and smaller ones where the error is large, as at a kink."""
    for start, eps in ((0.5, 2.0**-10), (-4.0, 2.0**-8)):
        seen = []

        def absolute(x, seen=seen, start=start):
            seen.append(float(x._array[0]) - start)
            return (x - start).abs()

        x = ta.tensor([start], dtype=ta.float64, requires_grad=True)
        with pytest.raises(GradcheckError, match="too close to a kink"):
            gradcheck(absolute, x, eps=2.0**-10)
        tried = [eps, 8 * eps, eps / 32, eps / 1024, eps / 32768]
        assert seen[2:] == [sign * h / n for h in tried for n in (1, 2, 4) for sign in (1, -1)]


def test_every_step_is_a_change_in_place():
    versions = []

    def fn(x):
        versions.append(x._storage.version)
        return x * 2

    assert gradcheck(fn, ta.zeros(1, dtype=ta.float64, requires_grad=True))
    assert versions == [0, 0, 1, 3, 5, 7, 9, 11]


def test_without_tolerance_what_is_exact_passes():
    assert gradcheck(lambda x: x * 0, random(3), rtol=0, atol=0)


def test_the_estimated_error_may_be_wrong_too():
    """Of relu at 0 the numeric derivative is c / 2, as is its error; the gradient is 0."""
    x = ta.zeros(1, dtype=ta.float64, requires_grad=True)
    c = abs(weights(1)[0])
    assert gradcheck(lambda x: x.relu(), x, rtol=0, atol=0.55 * c)
    assert not gradcheck(lambda x: x.relu(), x, rtol=0, atol=0.45 * c, raise_exception=False)


class Parameters(ta.nn.Module):
    def __init__(self, size):
        super().__init__()
        self.p = ta.nn.Parameter(ta.zeros(size, dtype=ta.float64))

    def forward(self, x):
        return double(self.p) * x


def test_of_a_large_parameter_different_elements_are_tried():
    one = ta.ones(1).double()
    with pytest.raises(GradcheckError) as error:
        gradcheck_module(Parameters(11), one, samples=10)
    drawn = np.random.default_rng(0).choice(11, 10, replace=False)
    assert {name for name, *_ in numbers(error)} == {f"p[{i}]" for i in drawn}
    with pytest.raises(GradcheckError, match="wrong at 64 of 64 elements"):
        gradcheck_module(Parameters(65), one)


def test_the_output_of_a_model_or_its_loss_is_checked():
    c = weights(1)[0]
    for loss, factor in ((None, 1), (lambda y: y * 5, 5)):
        with pytest.raises(GradcheckError) as error:
            gradcheck_module(Parameters(1), ta.ones(1).double(), loss)
        ((name, *values),) = numbers(error)
        assert name == "p[0]"
        assert values == pytest.approx([2 * c * factor, 3 * c * factor])


def test_the_tolerances_of_a_model():
    large = ta.full((1,), 1e6, dtype=ta.float64)
    assert gradcheck_module(Parameters(1), large, rtol=10.0, atol=0.0)
    assert gradcheck_module(Parameters(1), large, rtol=0.0, atol=1e8)
    with pytest.raises(GradcheckError):
        gradcheck_module(Parameters(1), large, rtol=1e-6, atol=10.0)


def test_a_model_without_parameters_is_refused():
    with pytest.raises(ValueError, match="no parameter and no input requires grad"):
        gradcheck_module(ta.nn.Tanh(), ta.ones(2).double())


def test_the_table_is_as_wide_as_the_names_it_shows():
    wrong = [("p", 20.0 - i, 0.0, 0.0) for i in range(10)] + [("a long name", 1.0, 0.0, 0.0)]
    assert _table(wrong, 11, []).splitlines()[2].startswith("p              20")
