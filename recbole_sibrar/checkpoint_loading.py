"""Reading of RecBole's checkpoints without running code of their choosing.

A checkpoint holds RecBole's ``Config`` beside its tensors, so that torch refuses it with
``weights_only=True``. The reader here knows the classes of a RecBole checkpoint and refuses all
others.
"""

from __future__ import annotations

import os
import pickle
import sys
from os import PathLike
from types import SimpleNamespace
from typing import Any

import torch
from recbole.config import Config
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_sibrar.data.record.training_data import FILE, KEY, TrainingData
from recbole_sibrar.errors import CheckpointError

__all__ = ["identify", "load_checkpoint", "load_trusted"]


def identify(file: str) -> tuple[str, int, int] | None:
    """Identity of a file's content: path, time of the last change and size; None without a file."""
    # Not by content: a checkpoint can have gigabytes.
    try:
        state = os.stat(file)
    except OSError:
        return None
    return os.path.realpath(file), state.st_mtime_ns, state.st_size


def load_checkpoint(file: str | PathLike[str], map_location: Any = None) -> dict[str, Any]:
    """Load a RecBole checkpoint; classes and functions foreign to one are refused.

    Args:
        file: Path of the checkpoint.
        map_location: Where tensors go, as in ``torch.load``; None is the CPU where there is no GPU.

    Raises:
        CheckpointError: The file does not exist, is no checkpoint, or asks for a class or function
            that no RecBole checkpoint holds; such a class can be allowed with
            ``torch.serialization.add_safe_globals``.
    """
    if map_location is None and not torch.cuda.is_available():
        map_location = "cpu"

    # weights_only=False lets torch use the unpickler of this module, which refuses by itself.
    module = SimpleNamespace(
        __name__="recbole_checkpoint", Unpickler=_CheckpointUnpickler, load=_refuse_legacy
    )
    try:
        checkpoint: dict[str, Any] = _torch_load(
            file, map_location=map_location, weights_only=False, pickle_module=module
        )
    except FileNotFoundError:
        raise CheckpointError(f"{file}: there is no such checkpoint") from None
    except _RefusedError as error:
        raise CheckpointError(f"{file} was not loaded: it holds {error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, IsADirectoryError) as error:
        raise CheckpointError(f"{file} is not a checkpoint that can be read ({error})") from None

    config = checkpoint.get("config") if isinstance(checkpoint, dict) else None
    if not isinstance(config, Config):
        raise CheckpointError(f"{file} is not a RecBole checkpoint: it holds no configuration")

    # RecBole's KD_DAGFM evaluates this key as Python.
    if not str(config["teacher"]).isidentifier():
        raise CheckpointError(
            f"{file}: the key 'teacher' is {config['teacher']!r}, allowed is the name of a model"
        )

    # Loading a checkpoint writes nothing.
    config.final_config_dict.update(save_dataset=False, save_dataloaders=False)

    # If several processes wrote it, this one has it for itself.
    if not config["single_spec"]:
        config.final_config_dict.update(single_spec=True, local_rank=0)
    if config["device"].type == "cuda" and not torch.cuda.is_available():
        config.final_config_dict["device"] = torch.device("cpu")

    _attach_record(str(file), config, checkpoint.get(KEY))

    # It sets names of NumPy that RecBole uses; otherwise only the constructor calls it.
    config.compatibility_settings()
    return checkpoint


def _attach_record(file: str, config: Config, record: Any) -> None:
    """Let the data set of a configuration keep the ids and scales of its training.

    Raises:
        CheckpointError: The record is damaged.
    """
    config.__dict__ |= {FILE: file}
    config.__dict__.pop(KEY, None)

    # Earlier versions and RecBole alone write none.
    if record is None:
        return
    try:
        config.__dict__[KEY] = TrainingData.from_plain(record).plain
    except ValueError as error:
        raise CheckpointError(f"{file} is not a checkpoint that can be read: {error}") from None


# Kept here because torch.load is replaced while RecBole's functions run.
_torch_load = torch.load


def load_trusted(file: str | PathLike[str], map_location: Any = None) -> Any:
    """Load a file with torch's own reader, which runs code of the file.

    Args:
        file: Path or stream of a file that this process has written itself.
        map_location: Device of the tensors, as in ``torch.load``.
    """
    return _torch_load(file, map_location=map_location, weights_only=False)


class _RefusedError(Exception):
    """Something in the file is foreign to RecBole's checkpoints."""


def _refuse_legacy(*_: object, **__: object) -> Any:
    # The older format is a row of pickles, which torch reads by the function load of a module.
    raise pickle.UnpicklingError("not in the zip format that torch writes since 1.6")


_TORCH_TYPES = {name for name, value in vars(torch).items() if isinstance(value, torch.dtype)}

_BUILDERS = {
    "collections": {"OrderedDict", "Counter", "defaultdict"},
    "builtins": {"set", "complex"},
    "_codecs": {"encode"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "pathlib": {"PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"},
    "torch": {"device", "Size", *_TORCH_TYPES},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_sparse_tensor"},
    "torch.serialization": {"_get_layout"},
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": {"scalar", "_reconstruct"},
    "numpy._core.multiarray": {"scalar", "_reconstruct"},
    "scipy.sparse._csr": {"csr_matrix"},
    "scipy.sparse._csc": {"csc_matrix"},
    "scipy.sparse._coo": {"coo_matrix"},
    "scipy.sparse._lil": {"lil_matrix"},
    "recbole.utils.enum_type": {
        "ModelType",
        "InputType",
        "EvaluatorType",
        "FeatureType",
        "FeatureSource",
    },
}
"""Functions that rebuild the values of a checkpoint, by module; none runs code of the file."""


# The one written in Python, whose steps can be checked.
_PythonUnpickler: Any = pickle._Unpickler


class _CheckpointUnpickler(_PythonUnpickler):
    """Rebuilds the values of a RecBole checkpoint, and refuses everything else.

    A file may name ``Config``, yaml's loader and model classes, because RecBole's configuration
    refers to them, but call none of them, and it may change the attributes of no class.
    """

    dispatch = dict(_PythonUnpickler.dispatch)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.builders: set[int] = set()

    def find_class(self, module: str, name: str) -> Any:
        """Look up ``module.name``."""
        # Pickle's protocols 0 to 2 use the old name.
        module = "builtins" if module == "__builtin__" else module
        dotted = f"{module}.{name}"
        declared = _declared_safe().get(dotted)
        if declared is not None or name in _BUILDERS.get(module, ()):
            found = super().find_class(module, name) if declared is None else declared
            self.builders.add(id(found))
            return found

        # Named, but never called: Config evaluates strings as Python.
        if dotted in ("recbole.config.configurator.Config", "yaml.loader.FullLoader"):
            return super().find_class(module, name)

        # An import of another module would run its code: only loaded ones, and RecBole's models.
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

    def _refuse_call(self, function: object) -> None:
        # By identity: not all that is called can be compared or hashed.
        if id(function) not in self.builders:
            module = getattr(function, "__module__", "")
            name = getattr(function, "__qualname__", function)
            raise _RefusedError(f"a call of {module}.{name}, which no RecBole checkpoint needs")

    def _instantiate(self, klass: object, args: object) -> None:
        self._refuse_call(klass)
        super()._instantiate(klass, args)

    def _checked_reduce(self) -> None:
        self._refuse_call(self.stack[-2])
        self.load_reduce()

    def _checked_newobj(self) -> None:
        # Config is made without a call of its constructor, which evaluates strings.
        if self.stack[-2] is not Config:
            self._refuse_call(self.stack[-2])
        self.load_newobj()

    def _checked_newobj_ex(self) -> None:
        self._refuse_call(self.stack[-3])
        self.load_newobj_ex()

    def _checked_build(self) -> None:
        target = self.stack[-2]
        if isinstance(target, type) or callable(target):
            raise _RefusedError(
                "a change of a class or function, which no RecBole checkpoint needs"
            )
        self.load_build()

    dispatch[pickle.REDUCE[0]] = _checked_reduce
    dispatch[pickle.NEWOBJ[0]] = _checked_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = _checked_newobj_ex
    dispatch[pickle.BUILD[0]] = _checked_build


def _declared_safe() -> dict[str, Any]:
    """Classes and functions that the user has declared safe to torch, by dotted name."""
    declared = {}
    for entry in torch.serialization.get_safe_globals():
        # torch takes a class, or a pair of it and the name in the file.
        found, name = entry if isinstance(entry, tuple) else (entry, None)
        declared[name or f"{found.__module__}.{found.__qualname__}"] = found
    return declared
