"""Mixed precision, of which there is none: its names change nothing, and say so."""

import importlib
import warnings

import pytest

import tinyattn as ta
from tinyattn import nn


def test_a_program_for_a_gpu_with_mixed_precision_runs_in_float32():
    weight = ta.ones(2, requires_grad=True)
    optimizer = ta.optim.SGD([weight], lr=0.5)
    scaler = ta.amp.GradScaler("cuda", enabled=ta.cuda.is_available())
    with ta.autocast("cuda", dtype=ta.float16, enabled=False):
        loss = (weight * ta.tensor([1.0, 3.0])).sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [1, 3]
    assert scaler.step(optimizer, lambda: ta.tensor(4.0)).item() == 4  # a closure
    scaler.update()
    assert weight.tolist() == [0.5, -0.5]
    assert (scaler.get_scale(), scaler.is_enabled(), scaler.state_dict()) == (1.0, False, {})
    scaler.load_state_dict({"scale": 2.0})
    assert scaler.get_scale() == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ta.autocast("cuda"), "Disabling autocast"),
        (lambda: ta.autocast("cpu", dtype=ta.float32), "Disabling autocast"),
        (lambda: ta.GradScaler(), "GradScaler is enabled, but CUDA is not available"),
    ],
)
def test_what_is_asked_for_in_vain_gives_a_warning(make, message):
    with pytest.warns(UserWarning, match=message) as caught:
        make()
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    ("name", "options"), [("autocast", {"dtype": ta.float16}), ("GradScaler", {"init_scale": 8.0})]
)
def test_the_names_under_cuda_are_deprecated(name, options):
    old = getattr(importlib.import_module("tinyattn.cuda.amp"), name)
    with pytest.warns(FutureWarning, match=f"torch.amp.{name}") as caught:
        made = old(enabled=False, **options)
    assert isinstance(made, getattr(ta.amp, name))
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns() as caught:
        old()
    assert {warning.category for warning in caught} == {FutureWarning, UserWarning}


def test_what_is_not_asked_for_gives_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ta.autocast("cuda", enabled=False)
        ta.autocast("cpu", enabled=False)
        ta.GradScaler(enabled=False)
        ta.GradScaler("cpu", enabled=False)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ta.autocast("cpu"), RuntimeError, "float32 and float64 only.*got bfloat16"),
        (lambda: ta.autocast("cpu", ta.float16), RuntimeError, "got float16"),
        (lambda: ta.autocast("nowhere"), RuntimeError, "device_type: expected cuda or cpu"),
        (lambda: ta.autocast(ta.float16), ValueError, "device_type: expected a str"),
        (lambda: ta.GradScaler("cpu"), RuntimeError, "need no scaling"),
        (lambda: ta.distributed.init_process_group("nccl"), RuntimeError, "use tinyattn.parallel"),
        (lambda: ta.distributed.destroy_process_group(), RuntimeError, "no process group"),
        (lambda: nn.DataParallel(3), TypeError, "module: expected a Module, got int"),
    ],
)
def test_what_would_change_results_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_function_may_be_decorated():
    @ta.autocast("cuda", enabled=False)
    def twice(x):
        return x * 2

    assert twice(ta.ones(2)).tolist() == [2, 2]


def test_a_model_for_several_gpus_or_processes_is_the_model():
    from tinyattn.distributed import destroy_process_group, init_process_group
    from tinyattn.nn.parallel import DistributedDataParallel

    assert DistributedDataParallel is ta.parallel.DistributedDataParallel
    assert not ta.distributed.is_available()
    assert not ta.distributed.is_initialized()
    assert callable(init_process_group)
    assert callable(destroy_process_group)
    model = nn.Linear(2, 3)
    copies = nn.DataParallel(model, device_ids=[0, 1])
    assert ta.equal(copies(ta.ones(1, 2)), model(ta.ones(1, 2)))
    assert list(copies.state_dict()) == ["module.weight", "module.bias"]
    assert copies.device_ids == []


def test_programs_that_may_run_in_several_processes_can_be_imported():
    from tinyattn import multiprocessing as mp
    from tinyattn.utils.data.distributed import DistributedSampler

    assert DistributedSampler is ta.parallel.DistributedSampler
    assert mp.cpu_count() > 0
    assert mp.Process.__module__ == "multiprocessing.context"
    mp.set_sharing_strategy("file_system")
    with pytest.raises(ValueError, match="new_strategy: expected file_descriptor"):
        mp.set_sharing_strategy("pigeons")
    with pytest.raises(RuntimeError, match="spawn: use tinyattn"):
        mp.spawn(print, nprocs=2)
