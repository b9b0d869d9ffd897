"""What optimisers and schedules are built with: name -> how options are drawn, wrong calls."""

OPTIONS = {
    "SGD": {
        "momentum": (0.9, 0.5),
        "dampening": (0.3,),
        "weight_decay": (0.1,),
        "maximize": (True,),
    },
    "Adam": {
        "betas": ((0.5, 0.9), (0.0, 0.99)),
        "eps": (1e-3,),
        "weight_decay": (0.1,),
        "amsgrad": (True,),
        "maximize": (True,),
    },
    "Adagrad": {
        "lr_decay": (0.1,),
        "weight_decay": (0.1,),
        "initial_accumulator_value": (0.5,),
        "eps": (1e-3,),
        "maximize": (True,),
    },
    "RMSprop": {
        "alpha": (0.5, 0.9),
        "eps": (1e-3,),
        "weight_decay": (0.1,),
        "momentum": (0.9,),
        "centered": (True,),
        "maximize": (True,),
    },
}
OPTIONS["AdamW"] = OPTIONS["Adam"]


def optimiser(name):
    def draw(d):
        options = {"lr": d.pick(0.01, 0.1)}
        for option, values in OPTIONS[name].items():
            if d.chance(0.35):
                options[option] = d.pick(*values)
        if options.get("momentum") and d.chance(0.3) and name == "SGD":
            options.pop("dampening", None)
            options["nesterov"] = True
        return options

    return draw


def x(t):
    return t.ones(2, requires_grad=True)


COMMON = (
    lambda o, t: o([]),
    lambda o, t: o(x(t)),
    lambda o, t: o([x(t) * 2]),
    lambda o, t: o([3.0]),
    lambda o, t: o([x(t)], lr=-1.0),
    lambda o, t: o([x(t)], weight_decay=-1.0),
    lambda o, t: o([{"params": {x(t)}}]),
    lambda o, t: o((lambda p: [{"params": [p]}, {"params": [p]}])(x(t))),
    lambda o, t: o([x(t)]).add_param_group([x(t)]),
    lambda o, t: o([x(t)]).load_state_dict(o([x(t), x(t)]).state_dict()),
)
WRONG = {
    "SGD": (
        lambda o, t: o([x(t)], momentum=-1.0),
        lambda o, t: o([x(t)], nesterov=True),
        lambda o, t: o([x(t)], momentum=0.9, dampening=0.1, nesterov=True),
    ),
    "Adam": (lambda o, t: o([x(t)], betas=(1.0, 0.9)), lambda o, t: o([x(t)], eps=-1.0)),
    "Adagrad": (lambda o, t: o([x(t)], lr_decay=-1.0), lambda o, t: o([x(t)], eps=-1.0)),
    "RMSprop": (lambda o, t: o([x(t)], alpha=-1.0), lambda o, t: o([x(t)], momentum=-1.0)),
}
WRONG["AdamW"] = WRONG["Adam"]


def decaying(epoch):
    return 0.9**epoch


SCHEDULES = {
    "LambdaLR": lambda d: {
        "lr_lambda": d.pick(decaying, [decaying, lambda epoch: 1 / (1 + epoch)])
    },
    "StepLR": lambda d: {"step_size": d.int(1, 5), "gamma": d.number(0.1, 1)},
    "MultiStepLR": lambda d: {
        "milestones": d.integers(0, 12, d.int(0, 4)).tolist(),
        "gamma": d.number(0.1, 1),
    },
    "ExponentialLR": lambda d: {"gamma": d.number(0.5, 1)},
    "LinearLR": lambda d: {
        "start_factor": d.number(0.1, 1),
        "end_factor": d.number(0, 1),
        "total_iters": d.int(1, 12),
    },
    "CosineAnnealingLR": lambda d: {"T_max": d.int(1, 12), "eta_min": d.pick(0.0, 0.01)},
    "OneCycleLR": lambda d: {
        "max_lr": d.pick(1.0, [0.5, 0.1]),
        "total_steps": 30,
        "pct_start": d.number(0.2, 0.5),
        "anneal_strategy": d.pick("cos", "linear"),
        "three_phase": d.chance(0.5),
        "cycle_momentum": d.chance(0.7),
    },
    "ReduceLROnPlateau": lambda d: {
        "mode": d.pick("min", "max"),
        "factor": d.pick(0.1, 0.5),
        "patience": d.int(0, 3),
        "threshold": d.pick(1e-4, 0.3),
        "threshold_mode": d.pick("rel", "abs"),
        "cooldown": d.int(0, 3),
        "min_lr": d.pick(0.0, [0.01, 0.05]),
        "eps": d.pick(1e-8, 0.02),
    },
}
SCHEDULES |= {
    "ConstantLR": lambda d: {"factor": d.number(0.1, 1), "total_iters": d.int(1, 12)},
    "CosineAnnealingWarmRestarts": lambda d: {
        "T_0": d.int(1, 5),
        "T_mult": d.int(1, 3),
        "eta_min": d.pick(0.0, 0.01),
    },
    "SequentialLR": lambda d: {
        "schedulers": [drawn_schedule(d) for _ in range(3)],
        "milestones": [d.int(1, 5), d.int(6, 12)],
    },
    "ChainedScheduler": lambda d: {"schedulers": [drawn_schedule(d) for _ in range(2)]},
}


def drawn_schedule(d):
    """The name of a schedule and what it is built with."""
    name = d.pick("StepLR", "ExponentialLR", "LinearLR", "ConstantLR", "LambdaLR")
    return name, SCHEDULES[name](d)


WRONG_SCHEDULES = {
    "ConstantLR": (lambda s, o: s(o, 2.0),),
    "CosineAnnealingWarmRestarts": (lambda s, o: s(o, 0), lambda s, o: s(o, 2, 0.5)),
    "SequentialLR": (lambda s, o: s(o, [], []), lambda s, o: s(o, ["x"], [])),
    "ChainedScheduler": (lambda s, o: s([]),),
    "LambdaLR": (lambda s, o: s(o, [decaying]),),
    "StepLR": (lambda s, o: s(o, 2, last_epoch=1),),
    "MultiStepLR": (lambda s, o: s(3, [2]),),
    "ExponentialLR": (lambda s, o: s(o, 0.5, last_epoch=0),),
    "LinearLR": (lambda s, o: s(o, 0.0), lambda s, o: s(o, 0.5, 2.0)),
    "CosineAnnealingLR": (lambda s, o: s("x", 2),),
    "OneCycleLR": (
        lambda s, o: s(o, 1.0),
        lambda s, o: s(o, 1.0, -1),
        lambda s, o: s(o, 1.0, epochs=2),
        lambda s, o: s(o, 1.0, 10, pct_start=2.0),
        lambda s, o: s(o, 1.0, 10, anneal_strategy="x"),
        lambda s, o: s(o, [1.0], 10),
    ),
    "ReduceLROnPlateau": (
        lambda s, o: s(o, "x"),
        lambda s, o: s(o, factor=1.0),
        lambda s, o: s(o, threshold_mode="x"),
        lambda s, o: s(o, min_lr=[0.1]),
    ),
}
