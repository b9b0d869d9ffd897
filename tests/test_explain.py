"""explain: the steps of the backward pass, their values, and what is told of them."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn, viz
from tinyattn._explain import folding
from tinyattn._explain.drawing import _cut, _label, _labels, _strength, boxes
from tinyattn._explain.folding import _groups, _joined, fold
from tinyattn._explain.forward import _place
from tinyattn._explain.running import _summed
from tinyattn._explain.step import Input, Quantity
from tinyattn._explain.step import Step as Step_
from tinyattn._explain.telling import facts_of, text_of
from tinyattn.autograd import Function
from tinyattn.kernels.recording import local
from tinyattn.viz.boxes import DATA, GRADIENTS
from tinyattn.viz.stepping import Section, fragment


def chain():
    a = ta.tensor(2.0, requires_grad=True)
    b = ta.tensor(3.0, requires_grad=True)
    with ta.explain():
        product = a * b
        loss = product + a
    return ta.explain(loss)


def test_the_steps_go_from_the_loss_to_the_leaves():
    told = chain()
    assert [step.title for step in told.steps] == ["loss = Add", "product = Mul", "b", "a"]
    assert [step.number for step in told.steps] == [1, 2, 3, 4]
    assert [[to.step for to in step.inputs] for step in told.steps] == [[2, 4], [4, 3], [], []]


def test_every_step_has_its_value_what_arrived_and_what_it_handed_on():
    # loss = ab + a, so dloss/da = b + 1 = 4 and dloss/db = a = 2
    add, mul, b, a = chain().steps
    assert [str(step.values[0]) for step in (add, mul, b, a)] == ["8", "6", "3", "2"]
    assert [str(step.arrived[0]) for step in (add, mul, b, a)] == ["1", "1", "2", "4"]
    assert [str(to.handed) for to in mul.inputs] == ["3", "2"]


def test_the_text_tells_the_sum_of_a_leaf_that_is_used_twice():
    text = str(chain())
    assert "z = x y;   dx = dz y,  dy = dz x." in text
    assert text.endswith("Step 4. a, a leaf\n    value    2\n    arrives  4 = 1 + 3")


def test_what_is_summed_because_it_was_broadcast():
    x = ta.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    w = ta.tensor([1.0, 1.0, 2.0], requires_grad=True)
    c = ta.ones(2, 1, requires_grad=True)
    told = ta.explain((x * w + c).sum())
    add, mul = told.steps[1:3]
    assert [(to.handed.shape, to.summed, to.shape) for to in add.inputs + mul.inputs] == [
        ((2, 3), (), (2, 3)),
        ((2, 3), (1,), (2, 1)),
        ((2, 3), (0,), (3,)),
    ]
    arrived = {step.name: step.arrived[0].elements for step in told.steps if step.name}
    assert arrived == {"w": [5, 7, 9], "c": [[3], [3]]}
    assert "to w        (2, 3) [[1, 2, 3], [4, 5, 6]], then summed over axis 0 to (3,)" in str(told)


def test_inputs_without_a_gradient_are_told_by_name():
    x = ta.tensor([1.0, 2.0])
    w = ta.ones(2, requires_grad=True)
    for product in (x * w, w * x):
        steps = ta.explain(product.sum()).steps
        assert {name: q.elements for name, q in steps[1].constants.items()} == {"x": [1, 2]}


def test_nothing_else_changes():
    x = ta.ones(3, requires_grad=True)
    x.grad = ta.tensor([7.0, 7.0, 7.0])
    seen = []
    x.register_hook(seen.append)
    y = x * 2
    y.retain_grad()
    loss = y.sum()
    ta.explain(loss)
    assert x.grad.tolist() == [7, 7, 7]
    assert y.grad is None
    assert not seen
    loss.backward()
    assert x.grad.tolist() == [9, 9, 9]
    assert len(seen) == 1


def test_a_freed_graph_is_refused_and_says_what_to_do():
    x = ta.ones(2, requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"call explain\(loss\) before loss\.backward"):
        ta.explain(loss)


def test_a_tensor_without_a_graph_is_refused():
    with pytest.raises(RuntimeError, match="does not require grad"):
        ta.explain(ta.ones(1))
    with pytest.raises(RuntimeError, match="scalar outputs"):
        ta.explain(ta.ones(2, requires_grad=True) * 2)


def test_a_gradient_for_a_result_of_several_elements():
    x = ta.ones(2, requires_grad=True)
    y = x * 3
    assert ta.explain(y, ta.tensor([1.0, -2.0])).steps[-1].arrived[0].elements == [3, -6]


def test_values_lines_and_modules_are_noted_inside_the_block_only():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    with ta.explain():
        inside = model(ta.ones(1, 2)).sum()
    outside = model(ta.ones(1, 2)).sum()
    noted, bare = ta.explain(inside).steps, ta.explain(outside).steps
    assert [step.module for step in noted[:3]] == ["", "Sequential.1", "Sequential.0"]
    assert [step.module for step in bare[:3]] == ["", "", ""]
    assert re.fullmatch(r"test_explain\.py:\d+: inside = model.*", noted[1].line)
    assert [step.outputs for step in bare[:3]] == [[()], [(1, 3)], [(1, 3)]]
    assert bare[1].line == ""
    assert 0 in noted[1].values
    assert not bare[1].values


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/home/me/model.py:7: y = f(x)", "model.py:7: y = f(x)"),
        ("/home/me/model.py:7: open('a.py:3')", "model.py:7: open('a.py:3')"),
        ("/tmp/ipykernel_12/34.py:7: y = f(x)", "line 7: y = f(x)"),
        ("<stdin>:1: ", "<stdin>:1: "),
    ],
)
def test_a_source_line_is_told_without_its_folder(line, told):
    assert _place(line) == told


def test_parameters_bear_their_names():
    lstm = nn.LSTM(2, 3)
    told = ta.explain(lstm(ta.ones(4, 1, 2))[0].sum())
    leaves = {step.name for step in told.steps if step.operation == "leaf"}
    assert leaves == {f"lstm.{name}" for name, _ in lstm.named_parameters()}


@pytest.mark.parametrize("anomaly", [False, True])
def test_the_gradients_are_those_of_backward(anomaly):
    ta.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.0)
    with ta.autograd.set_detect_anomaly(anomaly):
        loss = model(ta.randn(5, 2, 8), ta.randn(3, 2, 8)).square().sum()
        told = {step.name: step for step in ta.explain(loss).steps}
        loss.backward()
    for name, parameter in model.named_parameters():
        arrived = told[f"model.{name}"].arrived[0]
        np.testing.assert_allclose(arrived.norm, np.linalg.norm(parameter.grad.numpy()), rtol=1e-6)


def test_each_of_several_results_has_its_own_name():
    u, v = ta.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True).split(2)
    steps = ta.explain((u * v).sum()).steps
    assert [step.title for step in steps] == ["Sum", "Mul", "u, v = Split", "a leaf"]
    assert "to u     (2,) [3, 4]\n    to v     (2,) [1, 2]\n" in str(ta.explain((u * v).sum()))
    assert [str(grad) for grad in steps[2].arrived] == ["[3, 4]", "[1, 2]"]


def test_changes_in_place_are_steps():
    w = ta.tensor([1.0, 1.0], requires_grad=True)
    h = ta.zeros(2, 2)
    h[0] = w
    h[1] = w * 2
    told = ta.explain((h * ta.tensor([[1.0, 2.0], [3.0, 4.0]])).sum())
    assert [step.operation for step in told.steps[2:]] == ["SetItem", "Mul", "SetItem", "leaf"]
    assert told.steps[-1].arrived[0].elements == [7, 10]


def test_a_loss_that_is_a_leaf():
    x = ta.tensor(2.0, requires_grad=True)
    assert str(ta.explain(x)).splitlines()[2:] == [
        "Step 1. x, a leaf", "    value    2", "    arrives  1"
    ]  # fmt: skip
    assert x.grad is None


def test_numbers_that_are_not_finite_are_counted():
    x = ta.tensor([float("nan"), 1e200, -2.0] * 5, dtype=ta.float64, requires_grad=True)
    leaf = ta.explain((x * x).sum()).steps[-1]
    assert str(leaf.values[0]) == "norm nan, from -2 to 1e+200, 5 not finite"


def test_a_module_runs_in_its_forward_and_in_what_that_calls():
    class Doubling(nn.Module):
        def twice(self, x):
            return x * 2

        def forward(self, x):
            return self.twice(x).exp()

    model, x = Doubling(), ta.ones(1, requires_grad=True)
    with ta.explain():
        told = ta.explain(model.twice(model(x)))
    assert [step.module for step in told.steps] == ["", "Doubling", "Doubling", ""]


def test_an_operation_inherits_its_formula():
    class Twice(Function):
        """y = 2 x"""

        def forward(self, x):
            return 2 * x

        def backward(self, grad):
            return 2 * grad

    class Double(Twice):
        pass

    assert ta.explain(Double.apply(ta.ones(1, requires_grad=True))).steps[0].formula == "y = 2 x"


def test_an_operation_of_ones_own_needs_no_docstring():
    class Twice(Function):
        def forward(self, x):
            return 2 * x

        def backward(self, grad):
            return 2 * grad

    x = ta.tensor(1.0, requires_grad=True)
    y = Twice.apply(x)
    assert str(ta.explain(y)).splitlines()[2:5] == [
        "Step 1. y = Twice",
        "    value    2",
        "    arrives  1",
    ]


# --- folding --------------------------------------------------------------------------------------


class Step(nn.Module):
    """Four operations."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, h):
        return (self.linear(h) + h).tanh() * 0.5


class Loop(nn.Module):
    """One step, run 150 times."""

    def __init__(self):
        super().__init__()
        self.step = Step()

    def forward(self, h):
        for _ in range(150):
            h = self.step(h)
        return h


def test_a_large_graph_is_folded_by_module():
    model = nn.Sequential(*[nn.Sequential(*[Step() for _ in range(20)]) for _ in range(10)])
    with ta.explain():
        loss = model(ta.ones(1, 3)).sum()
    told = ta.explain(loss)
    assert len(told.steps) == 1201  # 800 operations, the sum, 400 parameters
    titles = [f"Sequential.{i}.{k}" for i in range(9, -1, -1) for k in range(19, -1, -1)]
    assert [step.title for step in told.told] == ["loss = Sum", *titles]
    last = told.told[1]
    assert last.holds == {"Mul": 1, "Tanh": 1, "Add": 1, "Linear": 1, "leaf": 2}
    assert last.outputs == [(1, 3)]
    assert last.arrived[0].elements == [[1, 1, 1]]
    mul = told.steps[1]
    assert (mul.operation, told.told[2].arrived[0].norm) == ("Mul", told.steps[5].arrived[0].norm)
    assert "1201 steps are folded by module into 201." in str(told)


def test_what_a_folded_step_hands_on_to_one_place_is_told_once():
    # h is used twice inside, by the linear layer and by the sum
    model = nn.Sequential(*[Step() for _ in range(200)])
    with ta.explain():
        loss = model(ta.ones(1, 3)).sum()
    told = ta.explain(loss)
    (to,) = told.told[1].inputs
    add, linear = told.steps[3], told.steps[4]
    both = [add.inputs[1].handed.norm, linear.inputs[0].handed.norm]
    assert (to.step, to.times, to.handed.norm) == (3, 2, max(both))
    assert "the largest of 2" in str(told)
    assert "2 up to" in told._repr_svg_()


def test_the_earlier_steps_of_a_long_loop_are_folded():
    model = Loop()
    with ta.explain():
        loss = model(ta.ones(1, 3)).sum()
    for told in (ta.explain(loss), ta.explain(model(ta.ones(1, 3)).sum())):
        watched = told.told[0].name == "loss"
        assert len(told.steps) == 603
        assert len(told.told) == 300
        *shown, rest, weight, bias = told.told
        assert [step.number for step in told.told] == list(range(1, 301))
        assert shown[0].operation == "Sum"
        assert rest.operation == ("Loop.step" if watched else "earlier steps")
        assert sum(rest.holds.values()) == 603 - 299
        arrived = {step.name: step.arrived[0].norm for step in told.steps if step.name}
        assert {weight.name, bias.name} == {"model.step.linear.weight", "model.step.linear.bias"}
        assert weight.arrived[0].norm == arrived[weight.name]
        assert str(told).endswith("may be folded by module.") is not watched
        told._repr_svg_()


# --- the picture ----------------------------------------------------------------------------------


def texts(svg):
    return [part.text for part in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_the_picture_has_a_box_for_each_step_with_its_gradient():
    svg = chain()._repr_svg_()
    boxes = re.findall(r'class="box" data-step="(\d)"', svg)
    assert sorted(boxes) == ["1", "2", "3", "4"]
    assert {"loss = Add", "grad 4", "grad 2"} <= set(texts(svg))


def test_what_many_steps_use_is_named_where_it_is_used():
    w = ta.ones(2, requires_grad=True)
    with ta.explain():
        h = w * 2
        loss = h.sum()
        for _ in range(5):
            loss = loss + (w * h).sum()
    told = ta.explain(loss)
    (number,) = (step.number for step in told.steps if step.name == "h")
    shown = texts(told._repr_svg_())
    assert shown.count(f"step {number}") == 5  # of six uses; the last one has a line
    assert shown.count("h = Mul") == 6
    assert shown.count("w") == 6


def test_no_box_covers_another_one():
    with ta.explain():
        loss = nn.Transformer(8, 2, 1, 1, 16)(ta.ones(2, 1, 8), ta.ones(2, 1, 8)).sum()
    svg = ET.fromstring(ta.explain(loss)._repr_svg_())
    rects = [
        [float(part.get(name)) for name in ("x", "y", "width", "height")]
        for part in svg.iter("{http://www.w3.org/2000/svg}rect")
        if part.get("rx")
    ]
    assert len(rects) > 60
    for i, (x, y, w, h) in enumerate(rects):
        assert x >= 0
        for x2, y2, w2, h2 in rects[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_a_name_is_escaped():
    assert "<script>" not in viz.graph(_named("<script>"))._repr_svg_()


def _named(text):
    class Odd(Function):
        def forward(self, x):
            return x * 1

    Odd.__name__ = text
    return Odd.apply(ta.ones(2, requires_grad=True))


def test_the_graph_has_the_shapes_on_its_lines():
    x = ta.ones(4, 2)
    w = ta.ones(2, 5, requires_grad=True)
    out = (x @ w).tanh()
    boxes = ["MatMul", "(2, 5)", "(4, 2)", "(4, 5)"]
    boxes += ["out = Tanh", "w", "x"]
    lines = ["(2, 5)", "(4, 5)"]
    title, legend, *rest = texts(viz.graph(out).svg)
    assert (title, legend) == ("The graph of out", DATA)
    assert sorted(rest) == sorted(boxes + lines)


def test_the_title_of_a_folded_graph_says_so(monkeypatch):
    monkeypatch.setattr(folding, "MOST", 10)
    out = ta.ones(1, requires_grad=True)
    for _ in range(20):
        out = out * 2
    title = texts(viz.graph(out).svg)[0]
    assert title.startswith("The graph of out. 21 steps; the earlier ones are folded into one.")


def test_pictures_are_saved_by_the_ending_of_the_name(tmp_path):
    told = chain()
    told.save(tmp_path / "a.svg")
    told.save(tmp_path / "a.txt")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == told._repr_svg_()
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == f"{told}\n"
    with pytest.raises(ValueError, match=r"ends in \.svg.*got .*a\.png"):
        told.save(tmp_path / "a.png")


@pytest.mark.parametrize("loss", [ta.ones(2), ta.tensor([1, 2]), 5.0, "loss", [ta.ones(1)]])
def test_what_has_no_graph_is_refused_under_the_name_of_explain(loss):
    with pytest.raises((RuntimeError, TypeError), match=r"^explain: "):
        ta.explain(loss)


# --- what is told, by hand ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "told", "short"),
    [
        (np.float64(2.5), "2.5", "2.5"),
        (np.array([1.0, -2.0]), "[1, -2]", "[1, -2]"),
        (np.array([[True, False]]), "[[True, False]]", "[[True, False]]"),
        (np.array([1.23456789e-7]), "[1.235e-07]", "[1.235e-07]"),
        (np.full(7, 1.0), "[1, 1, 1, 1, 1, 1, 1]", "[1, 1, 1, 1, 1, 1, 1]"),  # 21 characters
        (np.array([1.0] * 6 + [12]), "[1, 1, 1, 1, 1, 1, 12]", "[1, 1, 1, 1, 1, 1, 12]"),
        (np.array([1.0] * 6 + [120]), "[1, 1, 1, 1, 1, 1, 120]", "|120|"),
        (np.full(12, 2.0), "[2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]", "|6.928|"),
        (np.full(16, 2.0), "norm 8, from 2 to 2", "|8|"),
        (np.array([3.0, -4.0] + [0.0] * 11), "norm 5, from -4 to 3", "|5|"),
        (np.array([np.nan, 3.0] * 7), "norm nan, from 3 to 3, 7 not finite", "|nan|"),
        (np.full(13, -np.inf), "norm inf, from 0 to 0, 13 not finite", "|inf|"),
        (np.full(13, 1e200), "norm inf, from 1e+200 to 1e+200", "|inf|"),
        (np.zeros((0, 3)), "[]", "[]"),
    ],
)
def test_what_is_told_of_an_array(array, told, short):
    quantity = Quantity(array)
    assert (str(quantity), quantity.short()) == (told, short)
    assert quantity.shape == array.shape


def test_the_whole_text_of_a_pass():
    x = ta.tensor([1.0, 2.0, 4.0])
    w = ta.tensor([3.0, 1.0, 2.0], requires_grad=True)
    y = w * x
    z = y * y
    text = str(ta.explain(z.sum()))
    mul = "    z = x y;   dx = dz y,  dy = dz x. Each is kept only for the gradient of the other."
    steps = [part.split("\n") for part in text.split("\n\n")]
    assert steps[0] == ["The backward pass from Sum"]
    assert [part[0] for part in steps[1:]] == [
        "Step 1. Sum", "Step 2. z = Mul", "Step 3. y = Mul", "Step 4. w, a leaf",
    ]  # fmt: skip
    assert steps[1][-3:] == ["    value    77", "    arrives  1", "    to z     (3,) [1, 1, 1]"]
    assert steps[2][1:] == [
        mul, "    value    (3,) [9, 4, 64]", "    arrives  (3,) [1, 1, 1]",
        "    to y     (3,) [3, 2, 8]", "    to y     (3,) [3, 2, 8]",
    ]  # fmt: skip
    assert steps[3][1:] == [
        "    as in step 2", "    value       (3,) [3, 2, 8]",
        "    arrives     (3,) [6, 4, 16], the sum of 2", "    to w        (3,) [6, 8, 64]",
        "    constant x  (3,) [1, 2, 4]",
    ]  # fmt: skip
    assert steps[4][1:] == ["    value    (3,) [3, 1, 2]", "    arrives  (3,) [6, 8, 64]"]


def step(number, operation, inputs=(), module="", shape=(2,), arrived=1.0, **more):
    """A step of a pass whose places have gradients of 1 element."""
    grads = arrived if isinstance(arrived, list) else [Quantity(np.full(shape, arrived))]
    settings = {
        "names": {}, "formula": "", "values": {}, "constants": {},
        "outputs": [shape], "arrived": grads,
    }  # fmt: skip
    to = [i if isinstance(i, Input) else Input(i, 0, (2,), Quantity(np.ones(2))) for i in inputs]
    return Step_(number, operation, inputs=to, module=module, **settings | more)


def test_steps_of_a_module_in_a_row_are_one_group_with_the_leaves_that_only_they_use():
    steps = [
        step(1, "Sum", [2]), step(2, "Mul", [3, 5], "m.a"), step(3, "Add", [4, 5, 6], "m.a"),
        step(4, "Tanh", [6, 7], "m.b"), step(5, "leaf"), step(6, "leaf"), step(7, "leaf"),
    ]  # fmt: skip
    names = ["", "m.a", "m.a", "m.b", "", "", ""]
    # w5 is used in m.a alone, w6 in both, w7 in m.b alone
    assert _groups(steps, names) == [1, 2, 2, 3, 2, 4, 3]
    assert _groups(steps, [""] * 7) == [1, 2, 3, 4, 5, 6, 7]
    assert _groups(steps, ["", "m", "m", "m", "", "", ""]) == [1, 2, 2, 2, 2, 2, 2]


def test_a_group_is_one_step_that_hands_on_what_leaves_it():
    large, small = Quantity(np.full(2, 4.0)), Quantity(np.ones(2))
    steps = [
        step(1, "Sum", [2]),
        step(2, "Mul", [3, Input(4, 0, (2,), small)], "m.a.x", names={0: "y"},
             values={0: Quantity(np.full(2, 7.0))}, constants={"c": small}),
        step(3, "Add", [Input(4, 0, (2,), large), Input(5, 0, (2,), None)], "m.a.y"),
        step(4, "Tanh", [6], "m.b", arrived=5.0), step(5, "leaf"), step(6, "leaf"),
    ]  # fmt: skip
    first, joined, tanh, inner, outer = _joined(steps, [1, 2, 2, 3, 4, 5])
    assert [s.number for s in (first, joined, tanh, inner, outer)] == [1, 2, 3, 4, 5]
    assert [(to.step, to.output) for to in first.inputs] == [(2, 0)]
    assert joined.operation == "m.a"
    assert joined.formula == "1 Mul, 1 Add"
    assert joined.holds == {"Mul": 1, "Add": 1}
    assert (joined.names, joined.module, joined.line) == ({}, "", "")
    assert joined.outputs == [(2,)]
    assert joined.values[0].elements == [7, 7]
    assert joined.arrived[0].elements == [1, 1]
    assert list(joined.constants) == ["c"]
    assert [(to.step, to.output, to.times) for to in joined.inputs] == [(3, 0, 2), (4, 0, 1)]
    assert joined.inputs[0].handed is large
    assert joined.inputs[1].handed is None
    assert (tanh.operation, tanh.arrived[0].elements) == ("Tanh", [5, 5])
    assert [to.step for to in tanh.inputs] == [5]
    assert steps[3].inputs[0].step == 6  # what was folded stays as it was


def test_a_group_whose_parts_have_nothing_in_common_is_earlier_steps():
    steps = [step(1, "Sum", [2]), step(2, "Mul", [3], "m"), step(3, "Add", [], "n")]
    assert [s.operation for s in _joined(steps, [1, 2, 2])] == ["Sum", "earlier steps"]


def test_the_outputs_of_a_group_are_those_that_others_use():
    steps = [
        step(1, "Sum", [2, Input(3, 1, (3,), Quantity(np.ones(3)))]),
        step(2, "Mul", [Input(3, 0, (2,), Quantity(np.ones(2)))], "m"),
        step(3, "Split", [], "m", outputs=[(2,), (3,)],
             arrived=[Quantity(np.ones(2)), Quantity(np.full(3, 6.0))]),
    ]  # fmt: skip
    first, joined = _joined(steps, [1, 2, 2])
    assert [(to.step, to.output) for to in first.inputs] == [(2, 0), (2, 1)]
    assert joined.outputs == [(2,), (3,)]
    assert [q.elements for q in joined.arrived] == [[1, 1], [6, 6, 6]]


@pytest.mark.parametrize(
    ("norm", "largest", "strength"),
    [(8.0, 8.0, 1), (0.8, 8.0, 0.75), (8e-4, 8.0, 0), (8e-9, 8.0, 0), (0.0, 8.0, 0), (8.0, 0.0, 0),
     (np.nan, 8.0, 0), (np.inf, 8.0, 0), (16.0, 8.0, 1)],
)  # fmt: skip
def test_a_line_is_as_thick_as_its_gradient_is_large(norm, largest, strength):
    assert _strength(norm, largest) == pytest.approx(strength)


def test_labels_of_lines_and_boxes():
    ones = Quantity(np.ones(2))
    assert _label(Input(1, 0, (2,), ones), True) == "[1, 1]"
    assert _label(Input(1, 0, (2,), None), True) == "nothing"
    assert _label(Input(1, 0, (2,), ones, times=3), True) == "3 up to [1, 1]"
    wide = Quantity(np.ones((3, 2)))
    assert _label(Input(1, 0, (2,), wide, (0,)), True) == "|2.449| (3, 2) → (2,)"
    assert _label(Input(1, 0, (2,), ones), False) == "(2,)"
    assert _label(Input(1, 0, (), ones), False) == ""
    mul = step(2, "Mul", names={0: "y"}, values={0: ones})
    assert _labels(mul, True) == ["y = Mul", "(2,) [1, 1]", "grad [1, 1]"]
    assert _labels(mul, False) == ["y = Mul", "[1, 1]"]
    assert _labels(step(1, "Mul"), False) == ["Mul", "(2,)"]
    assert _labels(step(2, "leaf", names={0: "w"}, arrived=2.0), False) == ["w", "(2,)"]
    assert _labels(step(3, "Mul", arrived=9.0, shape=()), True) == ["Mul", "grad 9"]
    assert _labels(step(3, "Mul", arrived=[]), True) == ["Mul", "(2,)"]
    module = step(4, "m.a", holds={"Mul": 2, "Add": 3}, values={0: Quantity(np.ones(99))})
    assert _labels(module, True)[:3] == ["m.a", "5 steps", "(2,)"]
    four = step(5, "Split", outputs=[(1,)] * 4, arrived=[None, ones, ones, ones])
    assert _labels(four, True) == [
        "Split", "(1,)", "no gradient", "(1,)", "grad [1, 1]", "(1,)", "grad [1, 1]"
    ]  # fmt: skip
    assert _cut("a" * 28) == "a" * 28
    assert _cut("b" + "a" * 28) == "…" + "a" * 27


@pytest.mark.parametrize(
    ("shape", "own", "axes"),
    [((2, 3), (2, 3), ()), ((2, 3), (3,), (0,)), ((2, 3), (2, 1), (1,)), ((2, 3), (), (0, 1)),
     ((2, 1, 3), (1, 3), (0,)), ((2, 1, 3), (1, 1), (0, 2))],
)  # fmt: skip
def test_the_axes_over_which_a_gradient_is_summed(shape, own, axes):
    assert _summed(shape, own) == axes


def test_titles_of_steps():
    assert step(1, "leaf").title == "a leaf"
    assert step(1, "leaf", names={0: "w"}).title == "w"
    assert step(1, "Mul").title == "Mul"
    assert step(1, "Split", names={0: "u", 2: "v"}).title == "u, v = Split"


def test_a_notebook_gets_the_picture_and_a_part_for_each_step():
    model, x = nn.Sequential(nn.Tanh()), ta.ones(1, requires_grad=True)
    with ta.explain():
        y = model(x)
    told = ta.explain(y)
    tanh, leaf = told.steps
    assert tanh.line.startswith("test_explain.py:")
    assert GRADIENTS in told._repr_svg_()
    assert DATA not in told._repr_svg_()
    about = "Each step gets the gradient of its result and hands on a gradient to each input."
    sections = [
        Section(
            "Step 1. y = Tanh",
            f"in Sequential.0, at {tanh.line}",
            tanh.formula,
            facts_of(tanh, told.steps),
        ),
        Section("Step 2. x", facts=facts_of(leaf, told.steps)),
    ]
    whole = Section("The backward pass from y", about)
    assert told._repr_html_() == fragment(told._repr_svg_(), whole, sections)


def test_a_page_holds_the_picture_and_all_steps(tmp_path):
    told = chain()
    told.save(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert told._repr_html_() in page
    assert "<title>The backward pass from loss</title>" in page


def test_the_pass_is_told_in_the_place_of_hooks_that_come_back():
    x = ta.ones(2, requires_grad=True)
    y = x * 2
    seen = []
    y.register_hook(lambda grad: seen.append(grad.tolist()))
    told = ta.explain(y.sum())
    assert seen == []
    assert told.steps[-1].arrived[0].elements == [2, 2]
    y.sum().backward()
    assert seen == [[1, 1]]


def test_a_recorded_step_has_no_explanation():
    loss = ta.ones(1, requires_grad=True)
    local.recorder = object()
    try:
        with pytest.raises(RuntimeError, match="explain: the backward pass that it tells is not a"):
            ta.explain(loss)
    finally:
        local.recorder = None


def test_what_is_known_of_two_results():
    two = step(1, "Split", shape=(2,), outputs=[(2,), (1,)], values={1: Quantity(np.array([5.0]))},
               arrived=[None, Quantity(np.array([4.0]))])  # fmt: skip
    assert list(facts_of(two, [two])) == [
        ("shape 0", "(2,)"), ("value 1", "(1,) [5]"), ("arrives 0", "nothing"),
        ("arrives 1", "(1,) [4]"),
    ]  # fmt: skip
    one = step(1, "Mul", shape=(2,))
    assert list(facts_of(one, [one])) == [("shape", "(2,)"), ("arrives", "(2,) [1, 1]")]
    assert text_of(step(1, "Mul", shape=(), arrived=[]), [one], {}) == "Step 1. Mul"


def test_the_first_group_has_the_result_of_the_first_step():
    steps = [
        step(1, "Sum", [2], "m", shape=(), arrived=3.0),
        step(2, "Mul", [3], "m", constants={"c": Quantity(np.ones(2))}),
        step(3, "leaf"),
    ]  # fmt: skip
    joined, leaf = _joined(steps, [1, 1, 2])
    assert joined.outputs == [()]
    assert joined.arrived[0].elements == 3
    assert list(joined.constants) == ["c"]
    assert [(to.step, to.output) for to in joined.inputs] == [(2, 0)]
    assert leaf.number == 2


def test_a_result_that_is_used_twice_is_one_result_of_its_group():
    steps = [
        step(1, "Add", [2, 3]), step(2, "Tanh", [3]),
        step(3, "Mul", [4], "m"), step(4, "Exp", [], "m"),
    ]  # fmt: skip
    add, tanh, joined = _joined(steps, [1, 2, 3, 3])
    assert joined.outputs == [(2,)]
    assert [(to.step, to.output) for to in add.inputs] == [(2, 0), (3, 0)]
    assert [(to.step, to.output) for to in tanh.inputs] == [(3, 0)]


@pytest.mark.parametrize(("groups", "output"), [([1, 2, 3], 1), ([1, 2, 2], 0)])
def test_the_number_of_a_result_is_its_own_or_that_in_its_group(groups, output):
    """Of the two results of Split the second is used alone. In a group it is the first."""
    second = Input(2, 1, (3,), Quantity(np.ones(3)))
    split = step(2, "Split", [3], "m", outputs=[(2,), (3,)], arrived=[None, Quantity(np.ones(3))])
    folded = _joined([step(1, "Sum", [second]), split, step(3, "Mul", [], "m")], groups)
    (to,) = folded[0].inputs
    assert (to.step, to.output) == (2, output)
    assert folded[1].outputs[output] == (3,)


def test_the_boxes_of_a_picture_and_their_lines():
    """A leaf or a result that more than four use is drawn once, by the last of them; the others
    name it."""
    ones = Quantity(np.ones(2))
    half = Input(7, 0, (2,), Quantity(np.full(2, 0.1)))
    steps = [
        step(1, "Sum", [2], shape=(), arrived=1.0),
        step(2, "Add", [3, 3, 3, 3, 3, 7, 7, 7, 7, half], constants={"c": ones}),
        step(3, "Mul", [], "m", holds={"Mul": 2}), *[step(i, "Tanh") for i in (4, 5, 6)],
        step(7, "leaf", names={0: "w"}),
    ]  # fmt: skip
    drawn = boxes(steps, backward=True)
    assert [(box.key, box.kind) for box in drawn[:6]] == [
        (1, "result"), (2, "operation"), (3, "module"), (4, "operation"), (5, "operation"),
        (6, "operation"),
    ]  # fmt: skip
    ends = drawn[6:]
    assert [(box.kind, box.step) for box in ends] == [
        *[("reference", 3)] * 4, *[("leaf", 7)] * 4, ("constant", 0), ("leaf", 7)
    ]  # fmt: skip
    assert [box.key for box in ends] == [*range(8, 17), 7]
    assert ends[0].text == ["Mul", "step 3"]
    assert ends[4].text == ["w", "(2,)", "grad [1, 1]"]
    assert ends[8].text == ["c", "(2,)"]
    assert [line.to for line in drawn[1].lines_in] == [8, 9, 10, 11, 3, 12, 13, 14, 15, 7, 16]
    strengths = [line.strength for line in drawn[1].lines_in]
    assert strengths == [*[pytest.approx(1)] * 9, pytest.approx(0.75), None]


def test_up_to_four_uses_each_have_a_line_of_their_own():
    steps = [step(1, "Sum", [2] * 4), step(2, "leaf")]
    assert [box.kind for box in boxes(steps, backward=True)] == ["result", "leaf"]


def test_the_largest_gradient_has_the_thickest_line():
    largest = Input(2, 0, (2,), Quantity(np.full(2, 10.0)))
    first, _ = boxes([step(1, "Add", [2, largest]), step(2, "leaf")], backward=True)
    assert [line.strength for line in first.lines_in] == pytest.approx([0.75, 1])


def test_three_hundred_steps_are_told_one_by_one():
    steps = [step(i + 1, "Tanh") for i in range(300)]
    assert fold(steps) == (steps, "")


def test_modules_are_folded_as_whole_ones_where_their_parts_are_too_many():
    steps = [step(i + 1, "Tanh", module=f"m{i // 40}.x{i}") for i in range(320)]
    folded, note = fold(steps)
    assert [one.operation for one in folded] == [f"m{i}" for i in range(8)]
    assert [sum(one.holds.values()) for one in folded] == [40] * 8
    assert note == "320 steps are folded by module into 8."
