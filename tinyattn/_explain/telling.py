"""The text of a step. Look first at `facts_of`, which the pages in HTML use, too."""

from collections.abc import Iterator

from tinyattn._explain.step import Step, shape_text, with_shape


def text_of(step: Step, steps: list[Step], seen: dict[str, int]) -> str:
    """The lines of one step. `seen` holds the step that has told a formula."""
    where = f", at {step.line}" if step.line else ""
    inside = f", in {step.module}" if step.module else ""
    leaf = ", a leaf" if step.operation == "leaf" and step.names else ""
    lines = [f"Step {step.number}. {step.title}{leaf}{inside}{where}"]
    first = seen.setdefault(step.formula, step.number)
    formula = step.formula if first == step.number else f"as in step {first}" * bool(step.formula)
    lines += [f"    {line}".rstrip() for line in formula.splitlines()]
    facts = list(facts_of(step, steps))
    wide = max((len(name) for name, _ in facts), default=0)
    return "\n".join([*lines, *(f"    {name:{wide}}  {told}" for name, told in facts)])


def facts_of(step: Step, steps: list[Step]) -> Iterator[tuple[str, str]]:
    """What is known of a step, in pairs of a short name and what is told under it."""
    for i, shape in enumerate(step.outputs):
        of = f" {i}" if len(step.outputs) > 1 else ""
        if i in step.values:
            yield f"value{of}", with_shape(shape, step.values[i])
        elif shape:
            yield f"shape{of}", shape_text(shape)
    for i, grad in enumerate(step.arrived):
        of = f" {i}" if len(step.outputs) > 1 else ""
        terms = [
            to
            for user in steps
            for to in user.inputs
            if (to.step, to.output) == (step.number, i) and to.handed is not None
        ]
        told = "nothing" if grad is None else with_shape(step.outputs[i], grad)
        count = sum(term.times for term in terms)
        if 1 < count == len(terms) and step.outputs[i] == ():
            told += " = " + " + ".join(str(term.handed) for term in terms)
        elif count > 1:
            told += f", the sum of {count}"
        yield f"arrives{of}", told
    for to in step.inputs:
        told = "nothing" if to.handed is None else with_shape(to.handed.shape, to.handed)
        if to.summed:
            axes = ", ".join(map(str, to.summed))
            told += f", then summed over axis {axes} to {shape_text(to.shape)}"
        if to.times > 1:
            told += f", the largest of {to.times}"
        yield f"to {_called(steps[to.step - 1], to.output)}", told
    for name, constant in step.constants.items():
        yield f"constant {name}", with_shape(constant.shape, constant)


def _called(step: Step, output: int) -> str:
    return step.names.get(output) or f"{step.operation}, step {step.number}"
