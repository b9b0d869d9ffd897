"""Names that are missing say so, and what to use instead; the names of one device."""

import importlib
import re
import subprocess
import sys

import pytest

import tinyattn as ta
from tinyattn.compat import missing
from tinyattn.compat.aliases import alias


@pytest.mark.parametrize(
    ("place", "table"),
    [
        ("tinyattn", missing.TORCH),
        ("tinyattn.nn", missing.NN),
        ("tinyattn.nn.functional", missing.NN),
        ("tinyattn.optim", missing.OPTIM),
        ("tinyattn.optim.lr_scheduler", missing.OPTIM),
        ("tinyattn.autograd", missing.AUTOGRAD),
        ("tinyattn.distributions", missing.DISTRIBUTIONS),
        ("tinyattn.utils", missing.UTILS),
        ("tinyattn.utils.data", missing.DATA),
        ("tinyattn.nn.modules", missing.NN),
    ],
)
def test_a_missing_name_has_a_hint(place, table):
    module = importlib.import_module(place)
    for name, hint in table.items():
        assert name not in getattr(module, "__all__", ())
        with pytest.raises(AttributeError) as error:
            getattr(module, name)
        assert str(error.value) == f"module {place!r} has no attribute {name!r}: {hint}"
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("import tinyattn.jit", "use the model as it is"),
        ("from tinyattn.distributed import get_rank", "use tinyattn.parallel, under mpiexec"),
        ("from tinyattn import vmap", "write the batch dimension out"),
        ("from tinyattn.nn import Linear, GroupNorm", "use LayerNorm"),
        ("from tinyattn.nn.functional import softmax, ctc_loss", "no CTC loss"),
        ("from tinyattn.nn.modules.container import Conv2d", "not for pictures"),
        ("from tinyattn.optim.lr_scheduler import CyclicLR", "use OneCycleLR"),
        ("from tinyattn.utils.tensorboard import SummaryWriter", "keep the losses in a list"),
        ("from tinyattn.utils.data import DistributedSampler", "tinyattn.parallel"),
        ("from tinyattn.cuda.comm import broadcast", "on the CPU only"),
        ("from tinyattn.autograd.functional import jacobian", "first-order gradients only"),
        ("from tinyattn.distributions import Categorical, Normal", "randn_like"),
    ],
)
def test_an_import_of_a_missing_name_has_the_hint(statement, hint):
    with pytest.raises(ImportError, match=hint):
        exec(statement, {})


def test_an_import_of_what_nobody_has_is_pythons_error():
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'tinyattn\.nonsense'$"):
        importlib.import_module("tinyattn.nonsense")
    with pytest.raises(ImportError, match=r"cannot import name 'nonsense' from 'tinyattn\.nn'"):
        exec("from tinyattn.nn import nonsense", {})


def test_the_files_that_pytorch_has():
    names = {}
    exec(
        "from tinyattn.nn.modules import Module, Linear\n"
        "from tinyattn.nn.modules.activation import MultiheadAttention\n"
        "from tinyattn.nn.modules.loss import _Loss, _WeightedLoss\n"
        "from tinyattn.distributions.categorical import Categorical\n",
        names,
    )
    assert names["Linear"] is ta.nn.Linear
    assert names["MultiheadAttention"] is ta.nn.MultiheadAttention
    assert names["Categorical"] is ta.distributions.Categorical
    assert isinstance(ta.nn.MSELoss(), ta.nn.modules.loss._Loss)
    assert issubclass(ta.nn.NLLLoss, names["_WeightedLoss"])
    assert not issubclass(ta.nn.MSELoss, names["_WeightedLoss"])
    for file in ta.nn.modules.FILES:
        assert ta.nn.modules.__getattr__(file) is ta.nn.modules
    with pytest.raises(AttributeError, match="nonsense"):
        ta.nn.modules.loss.nonsense  # noqa: B018


def test_a_hint_names_what_is_there():
    tables = ((ta, missing.TORCH), (ta.nn, missing.NN), (ta.optim, missing.OPTIM))
    for module, table in tables:
        for name, hint in table.items():
            assert not hasattr(module, name), f"{name} is there, its hint can go: {hint}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda", "'Tensor' object has no attribute 'cuda': tinyattn computes on the CPU only"),
        ("tan", "'Tensor' object has no attribute 'tan': use sin(x) / cos(x)"),
        ("tan_", "'Tensor' object has no attribute 'tan_': use sin(x) / cos(x)"),
        ("sin_", "'Tensor' object has no attribute 'sin_': use x = x.sin(), or x.copy_(x.sin())"),
        ("resize_", "'Tensor' object has no attribute 'resize_': use reshape, or new_empty"),
        (
            "subtract_",
            "'Tensor' object has no attribute 'subtract_': use x = x.subtract(), or "
            "x.copy_(x.subtract())",
        ),
        ("shape_", "'Tensor' object has no attribute 'shape_'"),
        ("_read_", "'Tensor' object has no attribute '_read_'"),
        ("nonsense", "'Tensor' object has no attribute 'nonsense'"),
        ("nonsense_", "'Tensor' object has no attribute 'nonsense_'"),
    ],
)
def test_a_tensor_refuses_by_name(name, message):
    with pytest.raises(AttributeError) as caught:
        getattr(ta.ones(2), name)
    assert str(caught.value) == message
    assert caught.value.name == name


def test_a_parameter_refuses_by_its_own_name():
    with pytest.raises(AttributeError, match=r"^'Parameter' object has no attribute 'cuda': "):
        ta.nn.Parameter(ta.ones(2)).cuda()


def test_the_class_of_tensors_refuses_too():
    with pytest.raises(AttributeError, match=r"^type object 'Tensor' has no attribute 'cuda': "):
        ta.Tensor.cuda  # noqa: B018


def test_missing_names_of_tensors_are_not_listed():
    names = {"sin", "add_", "sin_", "cuda", "tan_", "_read_"}
    assert names.intersection(dir(ta.ones(2))) == {"sin", "add_"}


def test_a_subclass_may_have_what_tensors_lack():
    class Own(ta.Tensor):
        half = 3

        def twice(self):
            return self * 2

    class Other(ta.Tensor):
        def sin_(self):
            return "sin_"

    assert (Own(2).half, Other(2).sin_()) == (3, "sin_")
    with pytest.raises(AttributeError, match=r"^'Own' object has no attribute 'twice_'$"):
        Own(2).twice_()


def test_to_look_up_an_attribute_of_a_tensor_calls_no_function():
    assert not hasattr(ta.Tensor, "__getattr__")


def test_a_hint_names_what_a_tensor_has():
    for name, hint in missing.TENSOR.items():
        assert not hasattr(ta.ones(2, 2), name), f"{name} is there, its hint can go: {hint}"


@pytest.mark.parametrize(
    "call",
    [
        lambda: ta.device("cuda"),
        lambda: ta.zeros(2, device="cuda:0"),
        lambda: ta.tensor([1], device="mps"),
        lambda: ta.arange(3, device=0),
        lambda: ta.ones(2).to("cuda"),
        lambda: ta.ones(2).to(device="cuda", dtype=ta.float64),
        lambda: ta.randn(2, device="xpu"),
        lambda: ta.randperm(2, device="cuda"),
        lambda: ta.zeros_like(ta.ones(2), device="meta"),
        lambda: ta.ones(2).new_zeros(2, device="cuda"),
        lambda: ta.LongTensor([1], device="cuda"),
        lambda: ta.Generator(device="cuda"),
        lambda: ta.nn.Linear(2, 2, device="cuda"),
        lambda: ta.nn.GRU(2, 2, device="cuda"),
        lambda: ta.nn.Transformer(4, 2, 1, 1, 4, device="cuda"),
        lambda: ta.nn.Linear(2, 2).to("cuda"),
        lambda: ta.ones(2).type("torch.cuda.FloatTensor"),
    ],
)
def test_another_device_is_refused(call):
    with pytest.raises(RuntimeError, match="tinyattn computes on the CPU only"):
        call()


def test_the_cpu_may_be_named():
    cpu = ta.device("cuda" if ta.cuda.is_available() else "cpu")
    x = ta.zeros(2, device=cpu).to(cpu).to("cpu", ta.float64).cpu()
    assert x.dtype == ta.float64
    assert x.device == cpu
    assert hash(x.device) == hash(cpu)
    assert ta.cuda.device_count() == 0
    assert not ta.accelerator.is_available()
    assert ta.accelerator.current_accelerator() is None
    assert ta.accelerator.device_count() == 0
    ta.accelerator.synchronize()
    with ta.device("cpu") as inside:
        assert ta.ones(1).device == inside
    ta.set_default_device("cpu")
    with pytest.raises(RuntimeError, match="on the CPU only, got 'cuda'"):
        ta.set_default_device("cuda")
    ta.cuda.manual_seed_all(0)
    ta.cuda.empty_cache()
    ta.backends.cudnn.benchmark = False
    with pytest.raises(AttributeError, match=r"'Stream': tinyattn computes on the CPU only"):
        ta.cuda.Stream  # noqa: B018
    with pytest.raises(TypeError, match='expected "cpu", got float'):
        ta.zeros(2, device=1.5)
    with pytest.raises(TypeError, match="expected a device, a dtype"):
        x.to("cpu", ta.float32, True)


def test_a_way_to_compute_attention_may_be_named_and_changes_nothing():
    from tinyattn.nn.attention import SDPBackend, sdpa_kernel  # as programs do

    x = ta.randn(2, 3, 4)
    expected = ta.nn.functional.scaled_dot_product_attention(x, x, x)
    ways = SDPBackend.MATH, [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION]
    for way in ways:
        with sdpa_kernel(way):
            assert ta.equal(ta.nn.functional.scaled_dot_product_attention(x, x, x), expected)
    with pytest.raises(TypeError, match="backends: expected SDPBackend, got str"):
        sdpa_kernel(["math"]).__enter__()
    ta.backends.cuda.enable_flash_sdp(False)
    ta.backends.cuda.enable_math_sdp(True)


def test_dtypes_that_can_only_be_named():
    table = {"float32": ta.float32, "bfloat16": ta.bfloat16, "float16": ta.float16}
    assert table["float32"] == ta.ones(1).dtype
    for name in ("bfloat16", "float16"):
        with pytest.raises(TypeError, match=f"got {name}"):
            ta.zeros(2, dtype=table[name])
    with pytest.raises(RuntimeError, match="float32"):
        ta.set_default_dtype(ta.float64)


def test_how_tensors_are_printed():
    try:
        ta.set_printoptions(precision=1, threshold=4, edgeitems=1)
        assert repr(ta.tensor([1.25, 2.5])) == "tensor([1.2, 2.5])"
        assert repr(ta.arange(9)) == "tensor([0, ..., 8])"
        ta.set_printoptions(profile="full", linewidth=20, sci_mode=False)
        assert repr(ta.tensor([1e-6, 1.0])) == "tensor([0., 1.])"
    finally:
        ta.set_printoptions(profile="default")
    assert repr(ta.tensor([1.23456])) == "tensor([1.2346])"
    with pytest.raises(ValueError, match="profile"):
        ta.set_printoptions(profile="x")


@pytest.mark.parametrize(
    ("package", "call", "extra"),
    [
        ("matplotlib", "viz.attention_figure([[1.0]], ['a'], ['b'])", "examples"),
        ("matplotlib", "viz.curve_figure([0], {'loss': [1.0]}, 'step')", "examples"),
        ("matplotlib", "viz.gates({'r': [[0.5]]}, ['a'])", "examples"),
        ("matplotlib", "viz.gradient_norms([1.0])", "examples"),
        ("matplotlib", "viz.jacobian([[1.0]])", "examples"),
        ("sentencepiece", "text.learn_subwords(['a b'])", "subwords"),
        ("sentencepiece", "text.subword_tokeniser(b'')", "subwords"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(package, call, extra, monkeypatch):
    monkeypatch.delitem(sys.modules, "tinyattn.viz.chart", raising=False)
    monkeypatch.setitem(sys.modules, package, None)  # as good as missing
    says = f"{package} is not installed: pip install 'tinyattn[{extra}]'"
    with pytest.raises(ModuleNotFoundError, match=f"^{re.escape(says)}$"):
        eval(f"ta.{call}")


def test_packages_are_there_when_they_are_first_used():
    program = (
        "import sys, tinyattn as ta\n"
        "packages = ['datasets', 'learn', 'text', 'viz']\n"
        "assert not any(f'tinyattn.{name}' in sys.modules for name in packages)\n"
        "print(ta.viz.attention_page.__name__, ta.text.beam.__name__, ta.learn.__name__)\n"
        "print(ta.datasets.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["attention_page", "beam", "tinyattn.learn", "tinyattn.datasets"]


def test_an_alias_calls_its_function_under_a_name_of_its_own():
    double = alias("double", lambda x, add=0: 2 * x + add)
    assert (double(3, add=1), double.__name__, double.__qualname__) == (7, "double", "double")


def test_an_attribute_that_is_refused_names_itself_and_its_hint():
    class Thing:
        there = missing.Refused("there", "use here")

    with pytest.raises(AttributeError, match=r"^'Thing' object has no attribute 'there': use here"):
        Thing().there  # noqa: B018
    with pytest.raises(AttributeError, match=r"^type object 'Thing' has no attribute 'there': use"):
        Thing.there  # noqa: B018


def test_methods_of_a_class_of_tensors_have_no_form_in_place_unless_it_is_there(monkeypatch):
    refused = []
    monkeypatch.setattr(missing, "_refuse", lambda name, hint: refused.append((name, hint)))

    class Own(missing.Hints):
        size = 3

        def half(self): ...
        def half_(self): ...
        def _hidden(self): ...
        def twice(self): ...

    class Derived(Own):
        def third(self): ...

    assert refused == [("twice_", "use x = x.twice(), or x.copy_(x.twice())")]


def test_the_first_hint_of_a_name_counts(monkeypatch):
    monkeypatch.setattr(missing, "_refused", {"known"})
    try:
        missing._refuse("known", "a hint")
        missing._refuse("nonsense_of_a_test", "another hint")
        assert "known" not in vars(missing.Hints)
        refused = vars(missing.Hints)["nonsense_of_a_test"]
        assert (refused.name, refused.hint) == ("nonsense_of_a_test", "another hint")
        assert missing._refused == {"known", "nonsense_of_a_test"}
    finally:
        for name in ("known", "nonsense_of_a_test"):
            if name in vars(missing.Hints):
                delattr(missing.Hints, name)


def test_a_package_that_is_imported_later_is_the_package():
    of_tinyattn = missing.refuse("tinyattn", missing.TORCH, ("viz",))
    assert of_tinyattn("viz") is importlib.import_module("tinyattn.viz")
