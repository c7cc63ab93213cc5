"""Registration with RecBole at the moment of its import.

RecBole and torch take seconds to import, and the help of a command needs neither. So ``import
recbole_sibrar`` installs an import hook. The hook registers the plugin right after the import of
RecBole.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_RECBOLE, _OWN = "recbole", "recbole_sibrar."

# RecBole's pin of ray has no wheel for later Pythons.
_OPTIONS = "--no-deps " if sys.version_info >= (3, 12) else ""

_MISSING = (
    f"RecBole is not installed; recbole-sibrar needs it: pip install {_OPTIONS}recbole==1.2.1"
)

_PACKAGES = frozenset(
    {
        "data",
        "data.loading",
        "data.record",
        "evaluator",
        "model",
        "model.baselines",
        "plugin",
        "plotting",
        "quick_start",
        "quick_start.group",
        "quick_start.run",
        "report",
        "studies",
        "studies.gap",
        "studies.incomplete",
        "studies.missing",
        "studies.significance",
        "trainer",
    }
)
"""Packages of ours whose own module imports nothing."""

_LIGHT = (
    "names",
    "errors",
    "files",
    "protocols",
    "cli",
    "config",
    "data.atomic",
    "dataset_prep",
    "model.layers",
    "parallel",
    "properties",
    "serving",
)
"""Modules and packages of ours, with all modules inside, imported without RecBole."""

_LIGHT_PARTS = frozenset(
    {
        "data.modality",
        "data.record.scaling",
        "plugin.extend",
        "plugin.importing",
        "plugin.registration",
        "quick_start.group.variants",
        "quick_start.run.child_process",
        "quick_start.run.process_options",
        "studies.gap.options",
        "studies.incomplete.settings",
        "studies.missing.options",
        "studies.options",
        # encoders of a trained model, which serving uses without RecBole
        "model.branches",
        "model.concatenation",
        "model.encoder",
        "model.hiding",
        "model.sampling",
    }
)
"""Further modules of that kind, in packages with others."""


def register_with_recbole() -> None:
    """Register the plugin: after an import of RecBole at once, else right after the next one."""
    if _RECBOLE in sys.modules:
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register() -> None:
    importlib.import_module("recbole_sibrar.plugin").register()


class _Finder(MetaPathFinder):
    """Import hook for RecBole.

    RecBole is imported before any module of ours that needs it, so that registration never meets a
    module half-way through its own import.
    """

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find RecBole with a loader that registers the plugin; leave the rest to other finders."""
        # first RecBole, then our module, which finds it complete
        if name.startswith(_OWN) and not _is_light(name.removeprefix(_OWN)):
            importlib.import_module(_RECBOLE)
        if name != _RECBOLE:
            return None

        spec = self._find_without_us(name)
        if spec is None:
            raise ModuleNotFoundError(_MISSING, name=_RECBOLE)
        if spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec

    def _find_without_us(self, name: str) -> ModuleSpec | None:
        """Find a module by the other finders; who only looks for RecBole does not import it."""
        # without its removal, find_spec would come back here for ever
        position = sys.meta_path.index(self)
        sys.meta_path.remove(self)
        try:
            return importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(position, self)


def _is_light(name: str) -> bool:
    if name in _PACKAGES or name in _LIGHT_PARTS:
        return True
    return any(name == light or name.startswith(f"{light}.") for light in _LIGHT)


class _Loader(Loader):
    """Loads RecBole, and then registers the plugin.

    Args:
        loader: RecBole's own loader.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module as the loader does."""
        module: ModuleType | None = self.loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own loader again, run it, and register."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self.loader
        # before RecBole runs: its own imports need no hook
        others = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        sys.meta_path[:] = others
        self.loader.exec_module(module)
        _register()
