"""Repairs of RecBole 1.2.1 for today's packages: the only place that changes what RecBole does.

Each repair is one entry of :data:`REPAIRS`; it is applied once and skipped where RecBole no longer needs it.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from recbole_sibrar.errors import CheckpointError as CheckpointError
from recbole_sibrar.plugin.lazy_ray import ray_later

_DEPRECATIONS: tuple[tuple[str, type[Warning], str], ...] = (
    ("pkg_resources is deprecated as an API", UserWarning, r"ray\."),
    ("A value is trying to be set on a copy of a DataFrame", FutureWarning, r"recbole\.data\.dataset"),
    (r"using .* in Series\.agg cannot aggregate", FutureWarning, r"recbole\.data\.dataset"),
    (r"`torch\.cuda\.amp\.GradScaler", FutureWarning, r"recbole\.trainer"),
)
"""Message, category and module of the warnings that RecBole's own code causes and its users can do nothing about."""


def silence_deprecations() -> None:
    """Hide exactly the deprecation warnings that RecBole 1.2.1 causes on pandas 2, torch 2.4+ and setuptools 80."""
    for message, category, module in _DEPRECATIONS:
        warnings.filterwarnings("ignore", message=rf"\s*{message}", category=category, module=module)


silence_deprecations()  # before RecBole is imported, because importing it already warns

with ray_later():
    import recbole.quick_start
from recbole.config import Config  # noqa: E402
from recbole.evaluator import Collector  # noqa: E402
from recbole.evaluator.collector import DataStruct  # noqa: E402
from recbole.model.abstract_recommender import AbstractRecommender  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402

from recbole_sibrar.data.loading import download  # noqa: E402
from recbole_sibrar.data.record.training_data import FILE, KEY, TrainingData  # noqa: E402
from recbole_sibrar.parallel import processes  # noqa: E402


@dataclass(frozen=True)
class Repair:
    """One repair of RecBole."""

    name: str
    """What works again."""
    issue: str
    """Issues of RUCAIBox/RecBole that report what is broken."""
    needed: Callable[[], bool]
    """Whether the installed RecBole still has the fault."""
    apply: Callable[[], None]
    """Repairs it."""


_applied: dict[str, bool] = {}


def apply_repairs() -> dict[str, bool]:
    """Apply every repair that is needed, once.

    Returns:
        Name of the repair -> whether it was needed and is now active.
    """
    for repair in REPAIRS:
        if repair.name not in _applied:
            _applied[repair.name] = repair.needed()
            if _applied[repair.name]:
                repair.apply()
    return dict(_applied)


def _collector_needs_repair() -> bool:
    """Whether collecting a number or a counter for a metric fails (#2131, #2191, #2194)."""
    collector = object.__new__(Collector)
    collector.data_struct = DataStruct()
    collector.data_struct.set("data.num_items", 1)
    try:
        collector.get_data_struct()
    except AttributeError:
        return True
    return False


def _repair_collector() -> None:
    """Let ItemCoverage, GiniIndex, AveragePopularity, TailPercentage and ShannonEntropy run (#2131, #2191, #2194).

    RecBole moves every collected value to the CPU, also the numbers and counters that are not tensors.
    """
    original = Collector.get_data_struct

    @functools.wraps(original)
    def get_data_struct(self: Collector) -> DataStruct:
        collected = self.data_struct._data_dict
        plain = {key: value for key, value in collected.items() if not isinstance(value, torch.Tensor)}
        for key in plain:
            del collected[key]
        struct = original(self)
        for key, value in plain.items():
            collected[key] = value
            struct.set(key, value)
        return struct

    Collector.get_data_struct = get_data_struct


def _checkpoints_need_repair() -> bool:
    """Whether RecBole's checkpoints are refused by torch >= 2.6 (#2212)."""
    default = inspect.signature(torch.load).parameters["weights_only"].default
    return default is not False and "weights_only" not in inspect.getsource(Trainer.evaluate)


def _repair_checkpoints() -> None:
    """Load checkpoints on torch >= 2.6 (#2212) without giving up its protection.

    Since 2.6 torch refuses files that hold more than tensors, and a checkpoint holds RecBole's ``Config``. While
    RecBole's own functions run, :func:`load_checkpoint` stands in for ``torch.load``: it knows the classes of a
    RecBole checkpoint and no others. torch's default is not touched for anyone else.
    """
    for owner, name in ((Trainer, "evaluate"), (Trainer, "resume_checkpoint")):
        setattr(owner, name, _loading(getattr(owner, name)))
    original = recbole.quick_start.load_data_and_model
    rebind(original, _loading(original))


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run with :func:`load_checkpoint` in the place of ``torch.load``.

    Where it is a method of a trainer, what that trainer itself wrote is loaded without questions.
    """

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        written = getattr(args[0], "written_checkpoint", None) if args else None

        def load(file: Any, map_location: Any = None, **options: Any) -> Any:
            if options:  # not RecBole's call: pickle loads tensors that another process has sent
                return default(file, map_location=map_location, **options)
            config = getattr(args[0], "config", None) if args else None
            own = written is not None and written == identify(file)
            content = file if config is None else everywhere(config, file)
            if processes.broadcast(config, own) if content is not file else own:
                return _torch_load(content, map_location=map_location, weights_only=False)
            checkpoint = load_checkpoint(content, map_location)
            check = getattr(args[0], "check_checkpoint", None) if args else None
            if check is not None:
                check(str(content), checkpoint)
            return checkpoint

        default = torch.load
        torch.load = load  # type: ignore[assignment]
        try:
            return original(*args, **kwargs)
        finally:
            torch.load = default

    return function


def everywhere(config: Any, file: str) -> Any:
    """A checkpoint for ``torch.load``: where several processes train, what rank 0 reads, on whatever machines they are.

    Args:
        config: RecBole's ``Config`` of the training.
        file: Path of the checkpoint.

    Raises:
        CheckpointError: It cannot be read.
    """
    if processes.count(config) == 1:
        return file
    try:
        content = Path(file).read_bytes() if processes.is_main(config) else None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}") from None
    return _Content(processes.broadcast(config, content), file)


class _Content(BytesIO):
    """What a file holds, called by its name."""

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content)
        self.file = name

    def __str__(self) -> str:
        return self.file


def identify(file: str) -> tuple[str, int, int] | None:
    """What tells one state of a file from another: path, time of the last change and size; None if there is no file."""
    try:
        state = os.stat(file)
    except OSError:
        return None
    return os.path.realpath(file), state.st_mtime_ns, state.st_size


def rebind(original: Any, replacement: Any) -> None:
    """Replace a function in every module that has imported it by name, in whatever order imports were written.

    Args:
        original: The function.
        replacement: What takes its place.
    """
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is original:
                setattr(module, name, replacement)


def load_checkpoint(file: Any, map_location: Any = None) -> dict[str, Any]:
    """Load a RecBole checkpoint, and nothing that a RecBole checkpoint does not need.

    Args:
        file: Path of the checkpoint.
        map_location: Where tensors go, as in ``torch.load``; None is the CPU where there is no GPU.

    Raises:
        CheckpointError: The file does not exist, is no checkpoint, or asks for a class or function that no
            RecBole checkpoint holds; such a class can be allowed with ``torch.serialization.add_safe_globals``.
    """
    if map_location is None and not torch.cuda.is_available():
        map_location = "cpu"
    module = SimpleNamespace(__name__="recbole_checkpoint", Unpickler=_CheckpointUnpickler, load=_refuse_legacy)
    try:
        checkpoint = _torch_load(file, map_location=map_location, weights_only=False, pickle_module=module)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such checkpoint") from None
    except _RefusedError as error:
        raise CheckpointError(f"{file} was not loaded: it holds {error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, IsADirectoryError) as error:
        raise CheckpointError(f"{file} is not a checkpoint that can be read ({error})") from None
    config = checkpoint.get("config") if isinstance(checkpoint, dict) else None
    if not isinstance(config, Config):
        raise CheckpointError(f"{file} is not a RecBole checkpoint: it holds no configuration")
    if not str(config["teacher"]).isidentifier():
        raise CheckpointError(f"{file}: the key 'teacher' is {config['teacher']!r}, allowed is the name of a model")
    config.final_config_dict.update(save_dataset=False, save_dataloaders=False)  # who loads a checkpoint writes nothing
    if not config["single_spec"]:  # several processes wrote it, and this one has it for itself
        config.final_config_dict.update(single_spec=True, local_rank=0)
    if config["device"].type == "cuda" and not torch.cuda.is_available():
        config.final_config_dict["device"] = torch.device("cpu")
    _attach_record(str(file), config, checkpoint.get(KEY))
    config.compatibility_settings()  # names of NumPy that RecBole uses; otherwise only the constructor sets them
    return checkpoint


def _attach_record(file: str, config: Config, record: Any) -> None:
    """Let the data set of a configuration keep the ids and scales of the training whose checkpoint it comes from.

    Raises:
        CheckpointError: The record is damaged.
    """
    config.__dict__ |= {FILE: file}
    config.__dict__.pop(KEY, None)
    if record is None:  # of a version that wrote none, or of RecBole alone
        return
    try:
        config.__dict__[KEY] = TrainingData.from_plain(record).plain
    except ValueError as error:
        raise CheckpointError(f"{file} is not a checkpoint that can be read: {error}") from None


_torch_load = torch.load


class _RefusedError(Exception):
    """A checkpoint holds something that no RecBole checkpoint needs; the message says what."""


def _refuse_legacy(*_: Any, **__: Any) -> Any:
    raise pickle.UnpicklingError("not in the zip format that torch writes since 1.6")


_BUILDERS = {
    "collections": {"OrderedDict", "Counter", "defaultdict"},
    "builtins": {"set", "complex"},
    "_codecs": {"encode"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "pathlib": {"PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
    "torch": {"device", "Size", *(name for name, value in vars(torch).items() if isinstance(value, torch.dtype))},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_sparse_tensor"},
    "torch.serialization": {"_get_layout"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"scalar", "_reconstruct"},
    "numpy._core.multiarray": {"scalar", "_reconstruct"},
    "scipy.sparse._csr": {"csr_matrix"},
    "scipy.sparse._csc": {"csc_matrix"},
    "scipy.sparse._coo": {"coo_matrix"},
    "scipy.sparse._lil": {"lil_matrix"},
    "recbole.utils.enum_type": {"ModelType", "InputType", "EvaluatorType", "FeatureType", "FeatureSource"},
}
"""What a checkpoint may call to rebuild its values, by module; none of it runs code of the file's choosing."""


_PythonUnpickler: Any = pickle._Unpickler  # the one written in Python, whose steps can be checked


class _CheckpointUnpickler(_PythonUnpickler):
    """Rebuilds the values of a RecBole checkpoint, and refuses everything else.

    A file may name ``Config``, yaml's loader and model classes, which RecBole's configuration refers to, but call none
    of them (``Config`` evaluates strings as Python), and it may change the attributes of no class.
    """

    dispatch = dict(_PythonUnpickler.dispatch)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.builders: set[int] = set()

    def find_class(self, module: str, name: str) -> Any:
        """Look up ``module.name``."""
        module = "builtins" if module == "__builtin__" else module  # pickle's protocols 0 to 2 use the old name
        dotted = f"{module}.{name}"
        declared = _declared_safe().get(dotted)
        if declared is not None or name in _BUILDERS.get(module, ()):
            found = super().find_class(module, name) if declared is None else declared
            self.builders.add(id(found))
            return found
        if dotted in ("recbole.config.configurator.Config", "yaml.loader.FullLoader"):
            return super().find_class(module, name)
        if module in sys.modules or module.startswith("recbole.model."):
            try:
                found = super().find_class(module, name)
            except (ImportError, AttributeError):
                raise _RefusedError(f"{dotted}, which is not installed here") from None
            if isinstance(found, type) and issubclass(found, AbstractRecommender):
                return found
        raise _RefusedError(
            f"{dotted}, which no RecBole checkpoint needs; if you trust whoever wrote the file, "
            f"call torch.serialization.add_safe_globals([{dotted}]) first"
        )

    def _refuse_call(self, function: Any) -> None:
        if id(function) not in self.builders:
            name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
            raise _RefusedError(f"a call of {name}, which no RecBole checkpoint needs")

    def _instantiate(self, klass: Any, args: Any) -> None:
        self._refuse_call(klass)
        super()._instantiate(klass, args)

    def _checked_reduce(self) -> None:
        self._refuse_call(self.stack[-2])
        self.load_reduce()

    def _checked_newobj(self) -> None:
        if self.stack[-2] is not Config:
            self._refuse_call(self.stack[-2])
        self.load_newobj()

    def _checked_newobj_ex(self) -> None:
        self._refuse_call(self.stack[-3])
        self.load_newobj_ex()

    def _checked_build(self) -> None:
        if isinstance(self.stack[-2], type) or callable(self.stack[-2]):
            raise _RefusedError("a change of a class or function, which no RecBole checkpoint needs")
        self.load_build()

    dispatch[pickle.REDUCE[0]] = _checked_reduce
    dispatch[pickle.NEWOBJ[0]] = _checked_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = _checked_newobj_ex
    dispatch[pickle.BUILD[0]] = _checked_build


def _declared_safe() -> dict[str, Any]:
    """What the user declared safe to torch, by dotted name."""
    declared = [x if isinstance(x, tuple) else (x, None) for x in torch.serialization.get_safe_globals()]
    return {name or f"{found.__module__}.{found.__qualname__}": found for found, name in declared}


REPAIRS = (
    Repair("beyond-accuracy metrics of RecBole run", "#2131, #2191, #2194", _collector_needs_repair, _repair_collector),
    Repair("checkpoints load on torch >= 2.6", "#2212", _checkpoints_need_repair, _repair_checkpoints),
    Repair("a single process downloads data sets", "#1989, #2050", download.needs_repair, download.repair),
)
"""All repairs, in the order in which they are applied."""
