"""nn.utils.prune: what becomes 0 and what stays trainable; the rules are compared with PyTorch."""

import numpy as np
import pytest

import tinyattn as ta
from tinyattn import nn
from tinyattn.nn.utils import prune

WEIGHT = [[0.5, -0.1, 2.0, -3.0], [0.3, 1.0, -0.2, 0.05]]


def layer() -> nn.Linear:
    made = nn.Linear(4, 2)
    made.weight.data = ta.tensor(WEIGHT)
    return made


def mask(module: nn.Module) -> list:
    return module.weight_mask.tolist()


def test_the_smallest_elements_become_zero_and_the_others_are_trained():
    module = prune.l1_unstructured(layer(), "weight", amount=3)
    assert mask(module) == [[1, 0, 1, 1], [1, 1, 0, 0]]
    assert [name for name, _ in module.named_parameters()] == ["bias", "weight_orig"]
    x = ta.tensor([[1.0, 2.0, 3.0, 4.0]])
    module(x).sum().backward()
    assert module.weight_orig.grad.tolist() == [[1, 0, 3, 4], [1, 2, 0, 0]]
    ta.optim.SGD(module.parameters(), lr=1.0).step()
    module(x)
    assert module.weight.tolist()[0] == pytest.approx([-0.5, 0, -1, -7])


def test_a_share_is_rounded_as_python_does():
    assert np.sum(mask(prune.l1_unstructured(layer(), "weight", 0.3))) == 6  # 2.4 go
    assert np.sum(mask(prune.l1_unstructured(layer(), "weight", 0.0))) == 8
    assert np.sum(mask(prune.l1_unstructured(layer(), "weight", 1.0))) == 0


def test_a_second_rule_acts_on_what_the_first_has_left():
    module = prune.l1_unstructured(layer(), "weight", amount=4)
    prune.l1_unstructured(module, "weight", amount=0.5)
    assert mask(module) == [[0, 0, 1, 1], [0, 0, 0, 0]]
    prune.random_unstructured(module, "weight", amount=0)
    (hook,) = module._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer)
    assert hook._tensor_name == "weight"
    assert [type(rule) for rule in hook] == [prune.L1Unstructured] * 2 + [prune.RandomUnstructured]
    assert (len(hook), hook[-1]) == (3, list(hook)[2])
    with pytest.raises(ValueError, match=r"amount: expected at most 2, .* got 3"):
        prune.l1_unstructured(module, "weight", amount=3)
    assert mask(module) == [[0, 0, 1, 1], [0, 0, 0, 0]]


def test_whole_rows_or_columns_go_by_their_norm():
    module = prune.ln_structured(layer(), "weight", amount=2, n=1, dim=1)
    assert mask(module) == [[0, 0, 1, 1], [0, 0, 1, 1]]  # norms 0.8, 1.1, 2.2, 3.05
    prune.ln_structured(module, "weight", amount=1, n=float("inf"), dim=1)
    assert mask(module) == [[0, 0, 0, 1], [0, 0, 0, 1]]
    assert mask(prune.ln_structured(layer(), "weight", 0.5, 2, dim=0)) == [[1] * 4, [0] * 4]


def test_random_rules_take_as_many_as_they_are_told():
    rows = prune.random_structured(layer(), "weight", amount=1, dim=-2)
    assert sorted(map(sum, mask(rows))) == [0, 4]
    ta.manual_seed(3)
    first = mask(prune.random_unstructured(layer(), "weight", amount=5))
    ta.manual_seed(3)
    assert mask(prune.random_unstructured(layer(), "weight", amount=5)) == first
    assert np.sum(first) == 3


def test_importance_scores_are_compared_instead_of_the_weights():
    scores = ta.arange(8.0).reshape(2, 4)
    module = prune.l1_unstructured(layer(), "weight", 3, importance_scores=scores)
    assert mask(module) == [[0, 0, 0, 1], [1, 1, 1, 1]]
    module = prune.ln_structured(layer(), "weight", 1, 2, 0, importance_scores=-scores)
    assert mask(module) == [[0] * 4, [1] * 4]


def test_a_mask_of_ones_and_zeros_may_be_given():
    module = prune.custom_from_mask(layer(), "bias", ta.tensor([0.0, 1.0]))
    assert module.bias.tolist()[0] == 0
    assert module.bias.tolist()[1] == module.bias_orig.tolist()[1]
    assert mask(prune.identity(layer(), "weight")) == [[1] * 4, [1] * 4]


def test_several_parameters_are_pruned_as_one_vector():
    model = nn.Sequential(layer(), layer())
    with ta.no_grad():
        model[1].weight.mul_(10)
    prune.global_unstructured(
        [(model[0], "weight"), (model[1], "weight")], prune.L1Unstructured, amount=5
    )
    assert mask(model[0]) == [[0, 0, 1, 1], [0, 1, 0, 0]]
    assert mask(model[1]) == [[1] * 4, [1] * 4]
    prune.global_unstructured(
        [(model[0], "weight"), (model[1], "weight")], prune.L1Unstructured, amount=1
    )
    assert mask(model[1]) == [[1] * 4, [1, 1, 1, 0]]  # 0.5 comes before 1.0


def test_removing_leaves_a_parameter_with_zeros():
    module = prune.l1_unstructured(layer(), "weight", amount=6)
    original = module.weight_orig
    assert prune.is_pruned(nn.Sequential(module))
    prune.remove(module, "weight")
    assert not prune.is_pruned(module)
    assert module.weight is original
    assert module.weight.tolist() == [[0, 0, 2, -3], [0, 0, 0, 0]]
    assert sorted(module.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="'weight' of Linear has to be pruned before"):
        prune.remove(module, "weight")


def test_a_state_with_masks_is_saved_and_loaded():
    module = prune.l1_unstructured(layer(), "weight", amount=6)
    other = prune.identity(nn.Linear(4, 2), "weight")
    other.load_state_dict(module.state_dict())
    x = ta.ones(1, 4)
    assert other(x).tolist() == module(x).tolist()


def test_the_weights_of_a_gru_and_of_attention_can_be_pruned():
    gru = prune.l1_unstructured(nn.GRU(3, 4), "weight_hh_l0", 1.0)
    output, _ = gru(ta.ones(2, 1, 3))
    output.sum().backward()
    assert gru.weight_hh_l0_orig.grad.abs().sum().item() == 0
    attention = prune.l1_unstructured(nn.MultiheadAttention(4, 2), "in_proj_weight", 1.0)
    x = ta.randn(3, 1, 4)
    assert attention(x, x, x, need_weights=False)[0].tolist() == [[[0, 0, 0, 0]]] * 3


def test_other_hooks_and_other_parameters_stay_as_they_are():
    module, seen = layer(), []
    module.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs)))
    prune.l1_unstructured(module, "weight", amount=6)
    prune.custom_from_mask(module, "bias", ta.tensor([0.0, 1.0]))
    module(ta.ones(1, 4))
    prune.remove(module, "bias")
    assert prune.is_pruned(module)
    assert seen == [1]
    assert mask(module) == [[0, 0, 1, 1], [0, 0, 0, 0]]


def test_a_rule_of_ones_own():
    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            new = default_mask.clone()
            new.view(-1)[::2] = 0
            return new

    module = layer()
    EveryOther.apply(module, "weight")
    assert mask(module) == [[0, 1, 0, 1], [0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda m: prune.l1_unstructured(m, "weight", 9), ValueError, "at most 8"),
        (lambda m: prune.l1_unstructured(m, "weight", 1.1), ValueError, "amount: .*got 1.1"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError, "amount: .*got -1"),
        (lambda m: prune.l1_unstructured(m, "weight", float("nan")), ValueError, "got nan"),
        (lambda m: prune.l1_unstructured(m, "weight", "all"), TypeError, "amount: .*got str"),
        (lambda m: prune.l1_unstructured(m, "weight", True), TypeError, "amount: .*got bool"),
        (lambda m: prune.l1_unstructured(m, "wait", 1), AttributeError, "no parameter 'wait'"),
        (lambda m: prune.l1_unstructured(m, "forward", 1), AttributeError, "'forward'"),
        (lambda m: prune.l1_unstructured(3, "weight", 1), TypeError, "module: .*got int"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError, "at least 2 dim"),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 2), IndexError, "dim: .*got 2"),
        (lambda m: prune.random_structured(m, "weight", 3, 0), ValueError, "at most 2"),
        (lambda m: prune.custom_from_mask(m, "weight", ta.ones(8)), ValueError, "mask: .*8"),
        (lambda m: prune.custom_from_mask(m, "weight", ta.rand(2, 4)), ValueError, "zeros and"),
        (
            lambda m: prune.l1_unstructured(m, "weight", 1, ta.ones(8)),
            ValueError,
            r"importance_scores: .*\[2, 4\].*\[8\]",
        ),
        (
            lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=1),
            TypeError,
            "LnStructured, whose type is 'structured'",
        ),
        (
            lambda m: prune.global_unstructured(
                [(layer(), "weight"), (m, "weight")],
                prune.L1Unstructured,
                {(m, "weight"): ta.ones(8)},
                amount=1,
            ),
            ValueError,
            r"importance_scores: .*\[2, 4\].*\[8\]",
        ),
        (
            lambda m: prune.global_unstructured([], prune.L1Unstructured, amount=1),
            ValueError,
            "at least one pair",
        ),
        (
            lambda m: prune.global_unstructured(3, prune.L1Unstructured, amount=1),
            TypeError,
            "pairs",
        ),
    ],
)
def test_wrong_input_is_refused_and_changes_nothing(call, error, says):
    module = layer()
    with pytest.raises(error, match=says):
        call(module)
    assert not prune.is_pruned(module)
    assert sorted(module.state_dict()) == ["bias", "weight"]
    assert isinstance(module.weight, nn.Parameter)


@pytest.mark.parametrize("calls", range(6))
def test_masks_are_those_of_torch(calls):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch.nn.utils.prune")
    pairs = [(nn.Linear(6, 5), torch.nn.Linear(6, 5)), (nn.Linear(5, 4), torch.nn.Linear(5, 4))]
    for ours, other in pairs:
        ours.load_state_dict(other.state_dict())
    for side, lib in enumerate((prune, theirs)):
        first, second = (pair[side] for pair in pairs)
        both = [(first, "weight"), (second, "weight")]
        many = [
            lambda lib, m: lib.l1_unstructured(m, "weight", 0.37),
            lambda lib, m: lib.ln_structured(m, "weight", 0.4, n=2, dim=1),
            lambda lib, m: lib.ln_structured(m, "weight", 2, n=float("inf"), dim=0),
            lambda lib, m: lib.l1_unstructured(m, "weight", 7),
            lambda lib, m, both=both: lib.global_unstructured(both, lib.L1Unstructured, amount=0.3),
            lambda lib, m: lib.l1_unstructured(m, "bias", 2),
        ]
        for call in many[: calls + 1]:
            call(lib, first)
    for ours, other in pairs:
        assert ours.state_dict().keys() == other.state_dict().keys()
        for name, value in other.state_dict().items():
            np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy())


def test_a_rule_is_given_back_and_pruning_is_taken_back_from_the_same_module():
    module = layer()
    rule = prune.L1Unstructured.apply(module, "weight", amount=2)
    assert type(rule) is prune.L1Unstructured
    assert rule.amount == 2
    assert prune.remove(module, "weight") is module


def test_of_equally_small_elements_the_first_become_zero():
    module = nn.Linear(64, 1)
    module.weight.data = ta.tensor([[1.0, 2.0] * 32])
    prune.l1_unstructured(module, "weight", amount=20)
    assert mask(module) == [[0, 1] * 20 + [1, 1] * 12]


def test_a_container_of_one_rule_has_its_parameter():
    rule = prune.Identity()
    rule._tensor_name = "weight"
    assert prune.PruningContainer(rule)._tensor_name == "weight"
