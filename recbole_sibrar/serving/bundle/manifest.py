"""Manifest of a portable model: its format, its encoders, its fields, its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from recbole_sibrar.errors import PortableModelError
from recbole_sibrar.names import Side
from recbole_sibrar.serving.bundle.places import own_file
from recbole_sibrar.serving.bundle.plain import NotPlainError, from_plain

__all__ = ["FORMAT", "MANIFEST", "BucketSpec", "FieldSpec", "Manifest", "SideSpec"]

FORMAT = 1
"""Version of the format that this package writes; it reads this one and all earlier ones."""

MANIFEST = "manifest.json"
"""Name of the manifest in the folder of a portable model."""

_LARGEST_MANIFEST = 64 << 20


@dataclass(frozen=True)
class BucketSpec:
    """Division of a number field into buckets (RecBole's ``discretization``)."""

    method: str
    """``ED`` (equal distance) or ``LD`` (logarithm)."""
    size: int
    """Buckets of equal distance that the configuration asked for; 0 with ``LD``."""
    bounds: tuple[float, ...]
    """Smallest and largest number, or the distinct values on the logarithmic scale."""
    count: int
    """Number of buckets, that of padding included."""


@dataclass(frozen=True)
class FieldSpec:
    """A field of users or items that the model encodes."""

    name: str
    """Name of the field, as in the header of the atomic file."""
    type: str
    """``token``, ``token_seq``, ``float`` or ``float_seq``."""
    size: int
    """Number of labels with padding, length of a vector, or 1 for a number."""
    range: tuple[float, float] | None = None
    """Numbers of training that RecBole has scaled to 0 and 1; None without that scaling."""
    buckets: BucketSpec | None = None
    """Division into buckets; None for numbers that stay numbers."""
    limit: int | None = None
    """Largest number of elements of a sequence (RecBole's ``seq_len``); None for any."""
    scaling: str = "none"
    """Scaling by the encoder: ``standard``, ``l2`` or ``none``."""
    mean: tuple[float, ...] = ()
    """Mean of each dimension in training, with ``standard``."""
    # A copy of the encoder's own, as is `deviation`, for programs that do not read its weights.
    deviation: tuple[float, ...] = ()
    """Standard deviation of each dimension in training; 0 where a dimension is constant."""


@dataclass(frozen=True)
class SideSpec:
    """Users or items of a portable model."""

    id_field: str
    """Name of the field with the ids."""
    n: int
    """Number of users or items with an embedding."""
    n_trained: int
    """Number of those that the data of training had; they come first."""
    encoder: str
    """``single_branch``, ``multi_branch``, ``concatenation``, ``collaborative``, or ``none``."""
    modalities: tuple[str, ...] = ()
    """Modalities of the encoder, in its order."""
    fields: tuple[FieldSpec, ...] = ()
    """Fields among the modalities."""
    unused: tuple[str, ...] = ()
    """Further fields of the atomic files, which the encoder does not read."""
    display: tuple[str, ...] = ()
    """Columns kept for display and filters."""
    preferences: int = 0
    """Length of the latent vectors that stand for the interactions (DropoutNet); 0 without."""
    config: dict[str, object] = field(default_factory=dict)
    """Configuration of the encoder."""


@dataclass(frozen=True)
class Manifest:
    """Content of ``manifest.json``."""

    format: int
    """Version of the format."""
    model: str
    """Name of the model."""
    embedding_size: int
    """Length k of the embeddings."""
    users: SideSpec
    """The users."""
    items: SideSpec
    """The items."""
    dtype: str = "float32"
    """Type of the stored embeddings: ``float32`` or ``float16``."""
    has_modalities: bool = False
    """True if the embeddings of single modalities are stored, for explanations."""
    index: str | None = None
    """Approximate index of the items: ``hnsw`` or ``ivf``; None without one."""
    separator: str = " "
    """Separator of the elements of a sequence."""
    created: str = ""
    """Time of writing, in UTC."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the packages that wrote the folder."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """``validation`` and ``test`` -> metric -> value."""
    files: dict[str, str] = field(default_factory=dict)
    """Name of every other file -> its SHA-256."""

    def side(self, side: Side) -> SideSpec:
        """Return the description of one side."""
        return self.users if side == "user" else self.items

    def to_json(self) -> str:
        """Write the manifest as JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a folder.

        Raises:
            PortableModelError: There is none, it is damaged, or of a newer format.
        """
        values = _read_json(folder)
        # The version first: a newer format may have any other form.
        version = values.get("format")
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise PortableModelError(
                f"{folder / MANIFEST}: format: found {version!r}, allowed is a positive integer"
            )
        if version > FORMAT:
            raise PortableModelError(
                f"{folder}: found format {version}, allowed are formats up to {FORMAT}; "
                "install a newer recbole-sibrar to read it"
            )
        try:
            return from_plain(cls, values)
        except NotPlainError as error:
            raise PortableModelError(f"{folder / MANIFEST}: {error}") from None


def _read_json(folder: Path) -> Mapping[str, object]:
    """Read the JSON object of a manifest."""
    if not folder.is_dir():
        raise PortableModelError(
            f"{folder}: there is no such folder; recbole-sibrar export makes one from a checkpoint"
        )
    path = own_file(folder, MANIFEST)
    try:
        # the size before the content: the folder may come from anybody
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise PortableModelError(
                f"{path}: found {path.stat().st_size} bytes, allowed are {_LARGEST_MANIFEST}"
            )
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PortableModelError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise PortableModelError(f"{path}: damaged, it holds no JSON ({error})") from None

    if not isinstance(values, dict):
        raise PortableModelError(
            f"{path}: found a {type(values).__name__}, allowed is a JSON object"
        )
    return values
