"""Large graphs: the steps of a module, or the earlier ones of a loop, become one. Look first at
`fold`."""

from collections import Counter
from dataclasses import replace
from itertools import takewhile

from tinyattn._explain.step import Input, Step

EARLIER = "earlier steps"
MOST, FEWEST = 300, 8  # steps that are told and drawn one by one; more of them are folded by module


def fold(steps: list[Step]) -> tuple[list[Step], str]:
    """The steps that are told, about MOST of them, and what is folded. The modules that are folded
    are as small as they can be; where hardly anything would be left, as of one long loop, the
    earlier steps are folded instead: those that the backward pass reaches last."""
    if len(steps) <= MOST:
        return steps, ""
    modules = [step.module.split(".") if step.module else [] for step in steps]
    for depth in range(max(map(len, modules)), 0, -1):
        folded = _joined(steps, _groups(steps, [".".join(path[:depth]) for path in modules]))
        if FEWEST <= len(folded) <= MOST:
            return folded, f"{len(steps)} steps are folded by module into {len(folded)}."
    shown = max(MOST - 1 - sum(step.operation == "leaf" for step in steps), FEWEST)
    folded = _joined(steps, _groups(steps, [""] * shown + [EARLIER] * (len(steps) - shown)))
    hint = "" if any(modules) else " Under `with ta.explain():` they may be folded by module."
    return folded, f"{len(steps)} steps; the earlier ones are folded into one.{hint}"


def _groups(steps: list[Step], names: list[str]) -> list[int]:
    """For each step the number of its group: operations in a row that have the same name, and the
    leaves that only they use. An operation without a name is a group of its own."""
    groups: list[int] = []
    users: dict[int, set[int]] = {}
    named = [""]  # the name of each group
    for step, name in zip(steps, names, strict=True):
        using = users.get(step.number, set())
        if step.operation == "leaf":
            inside = len(using) == 1 and named[min(using)]
            named += [] if inside else [""]
            groups.append(min(using) if inside else len(named) - 1)
            continue
        if not name or name != named[-1]:
            named.append(name)
        groups.append(len(named) - 1)
        for to in step.inputs:
            users.setdefault(to.step, set()).add(groups[-1])
    return groups


def _joined(steps: list[Step], groups: list[int]) -> list[Step]:
    """A step for each group. What stays inside a group is not told."""
    members: dict[int, list[Step]] = {}
    for step, group in zip(steps, groups, strict=True):
        members.setdefault(group, []).append(step)
    numbers = {group: i for i, group in enumerate(members, start=1)}
    seen_outside = {groups[0]: [(steps[0].number, 0)]}
    for step, group in zip(steps, groups, strict=True):
        for to in step.inputs:
            places = seen_outside.setdefault(groups[to.step - 1], [])
            if groups[to.step - 1] != group and (to.step, to.output) not in places:
                places.append((to.step, to.output))
    folded = []
    for group, inside in members.items():
        inputs = []
        for to in (to for step in inside for to in step.inputs):
            at = groups[to.step - 1]
            if at != group:
                place = seen_outside[at].index((to.step, to.output))
                output = place if len(members[at]) > 1 else to.output
                inputs.append(replace(to, step=numbers[at], output=output))
        if len(inside) == 1:
            folded.append(replace(inside[0], number=numbers[group], inputs=inputs))
            continue
        holds = Counter(step.operation for step in inside)
        outputs = [(steps[n - 1], i) for n, i in seen_outside.get(group, ())]
        values = {k: s.values[i] for k, (s, i) in enumerate(outputs) if i in s.values}
        constants = {name: q for step in inside for name, q in step.constants.items()}
        paths = sorted(step.module.split(".") for step in inside if step.operation != "leaf")
        both = zip(paths[0], paths[-1], strict=False)
        common = [a for a, _ in takewhile(lambda names: names[0] == names[1], both)]
        folded.append(
            Step(
                number=numbers[group],
                operation=".".join(common) or EARLIER,
                names={},
                formula=", ".join(f"{n} {operation}" for operation, n in holds.items()),
                outputs=[step.outputs[i] for step, i in outputs],
                values=values,
                inputs=_merged(inputs),
                constants=constants,
                arrived=[step.arrived[i] if step.arrived else None for step, i in outputs],
                holds=holds,
            )
        )
    return folded


def _merged(inputs: list[Input]) -> list[Input]:
    """One input for each place. The largest gradient stands for those that are handed on there."""
    places: dict[tuple[int, int], list[Input]] = {}
    for to in inputs:
        places.setdefault((to.step, to.output), []).append(to)
    return [
        replace(max(same, key=lambda to: to.handed.norm if to.handed else -1.0), times=len(same))
        for same in places.values()
    ]
