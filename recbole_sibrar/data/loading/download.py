"""Downloads of RecBole's data sets: unknown names and failed downloads."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path

import recbole
import torch.distributed as dist
import yaml
from recbole.data.dataset import Dataset

from recbole_sibrar.config import nearest
from recbole_sibrar.errors import DataError


def needs_repair() -> bool:
    """Tell if RecBole waits for other processes after a download (#1989, #2050)."""
    return "barrier" in inspect.getsource(Dataset._download)


def repair() -> None:
    """Let a single process go on after a download (#1989, #2050)."""
    original = Dataset._download

    def _download(dataset: Dataset) -> None:
        barrier = dist.barrier
        # RecBole calls it after every download, and torch fails without a process group
        if not dist.is_initialized():
            dist.barrier = lambda *_, **__: None
        try:
            original(dataset)
        finally:
            dist.barrier = barrier

    Dataset._download = _download


def download(original: Callable[[Dataset], None], dataset: Dataset) -> None:
    """Download a data set; a failed download leaves no folder."""
    folder = Path(dataset.dataset_path)
    try:
        original(dataset)
    except BaseException:
        # The folder was not there before. The next run would take the rest for the data set.
        shutil.rmtree(folder, ignore_errors=True)
        raise


def find_url(
    original: Callable[..., str | None],
    dataset: Dataset,
    url_file: str,
    allow_none: bool = False,
) -> str | None:
    """Find the address of a data set in RecBole's list.

    Raises:
        DataError: RecBole knows no data set of that name, and there is no folder of it.
    """
    url = original(dataset, url_file, allow_none=True)
    if url is not None or allow_none:
        return url

    folder = Path(dataset.dataset_path)
    here = [other.name for other in folder.parent.glob("*") if other.is_dir()]
    names = ["ml-100k", *here, *_downloadable(url_file)]
    raise DataError(
        f"dataset: found '{dataset.dataset_name}', but there is no folder {folder}, and RecBole "
        f"knows no data set of that name to download{nearest(dataset.dataset_name, names, 0.7)}"
    )


def _downloadable(url_file: str) -> list[str]:
    """List the data sets that RecBole can download."""
    file = Path(recbole.__path__[0]) / "properties" / "dataset" / f"{url_file}.yaml"
    return list(yaml.safe_load(file.read_text(encoding="utf-8")))
