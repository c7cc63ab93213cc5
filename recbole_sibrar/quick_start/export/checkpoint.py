"""Export of a checkpoint: the content of a portable model, taken from a model and its data set."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import recbole.quick_start
import torch
from recbole.utils import get_trainer
from scipy.sparse import csr_matrix
from torch import Tensor

from recbole_sibrar.model.concatenation import CollaborativeContentEncoder, ConcatenationEncoder
from recbole_sibrar.model.encoder import EntityEncoder
from recbole_sibrar.model.multimodal import MultimodalRecommender
from recbole_sibrar.names import SIDES, Side
from recbole_sibrar.protocols import FullConfig, LoaderLike
from recbole_sibrar.quick_start.export import embeddings, fields
from recbole_sibrar.serving.bundle.content import Content, Histories, SideContent
from recbole_sibrar.serving.bundle.manifest import FORMAT, Manifest, SideSpec
from recbole_sibrar.serving.bundle.writing import check_place, write
from recbole_sibrar.serving.encoding.loading import plain_config
from recbole_sibrar.studies.checkpoints import checkpoint_errors, quiet

__all__ = ["ExportOptions", "collect", "describe", "export"]


@dataclass(frozen=True)
class ExportOptions:
    """Choices of an export."""

    display: tuple[str, ...] = ()
    """Columns of the ``.item`` and ``.user`` files to keep for display and filters."""
    dtype: str = "float32"
    """Type of the stored embeddings: ``float32`` or ``float16``."""
    modalities: bool = False
    """Store the embeddings of single modalities too, for explanations."""
    index: str | None = None
    """Approximate index of the items: ``hnsw`` or ``ivf``; None without one."""
    overwrite: bool = False
    """Replace an earlier portable model."""


def export(
    checkpoint: str,
    folder: Path,
    options: ExportOptions | None = None,
    data_path: str | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
) -> Content:
    """Write the model of a checkpoint as a portable model.

    Args:
        checkpoint: File written by a training.
        folder: Folder to write.
        options: Choices of the export.
        data_path: Folder of the data, if they have moved since training.
        metrics: ``validation`` and ``test`` -> metric -> value, for the manifest; None to evaluate
            both parts.

    Returns:
        The portable model.

    Raises:
        ConfigError: The model's scores are no dot products, or a display column is unknown.
        CheckpointError: The checkpoint cannot be read.
        PortableModelError: The folder cannot be written.
    """
    chosen = options or ExportOptions()
    # Before the checkpoint and its data are read, which takes long.
    check_place(folder, chosen.overwrite)
    with quiet(), checkpoint_errors(checkpoint):
        loaded = recbole.quick_start.load_data_and_model(checkpoint, data_path=data_path)
        config, model, _, train_data, valid_data, test_data = loaded
        parts = {"validation": valid_data, "test": test_data}
        results = metrics or _evaluate(config, model, train_data, parts)
        content = collect(model, train_data._dataset, chosen, results)
    write(content, folder, chosen.overwrite)
    return content


def _evaluate(
    config: FullConfig, model: Any, train_data: LoaderLike, parts: Mapping[str, LoaderLike | None]
) -> dict[str, Mapping[str, float]]:
    """Compute the metrics of the configuration on the parts that hold something."""
    # Else the trainer would start a log of TensorBoard.
    config["tensorboard"] = "none"
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    # Some metrics need counts of the training part, which RecBole collects in fit.
    trainer.eval_collector.data_collect(train_data)

    results: dict[str, Mapping[str, float]] = {}
    for name, loader in parts.items():
        if loader is not None and len(loader):
            results[name] = trainer.evaluate(loader, load_best_model=False) or {}
    return results


@torch.no_grad()
def collect(
    model: Any, dataset: Any, options: ExportOptions, metrics: Mapping[str, Mapping[str, float]]
) -> Content:
    """Take a portable model from a trained one.

    Args:
        model: The model.
        dataset: Training part of its data set.
        options: Choices of the export.
        metrics: Results for the manifest.

    Raises:
        ConfigError: The model's scores are no dot products, or a display column is unknown.
    """
    model.eval()
    name = str(dataset.config["model"])
    fields.check_display(dataset, options.display)
    is_ours = isinstance(model, MultimodalRecommender)
    if is_ours:
        # Row 0 is RecBole's padding.
        pairs = (model.encode_users()[1:].cpu(), model.encode_items()[1:].cpu())
    else:
        pairs = embeddings.of_recbole_model(model, dataset, name)

    matrix = _interactions(dataset)
    counts = (matrix.getnnz(1), matrix.getnnz(0))
    specs = {}
    contents = {}
    for side, vectors, n_interactions in zip(SIDES, pairs, counts, strict=True):
        encoder = _encoder(model, side)
        specs[side] = _side_spec(dataset, side, encoder, model, options)
        contents[side] = _side_content(
            dataset, side, encoder, vectors, n_interactions, specs[side], options
        )

    manifest = Manifest(
        FORMAT,
        name,
        pairs[0].shape[1],
        specs["user"],
        specs["item"],
        dtype=options.dtype,
        has_modalities=options.modalities and is_ours,
        index=options.index,
        separator=dataset.config["seq_separator"],
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=_versions(),
        metrics={part: _plain(values) for part, values in metrics.items()},
    )
    histories = Histories(matrix.indices.astype(np.int32), matrix.indptr.astype(np.int64))
    return Content(
        manifest, contents["user"], contents["item"], histories, _weights(model) if is_ours else {}
    )


def _plain(values: Mapping[str, float]) -> dict[str, float]:
    """Turn the results into numbers that JSON can hold."""
    # On NumPy 2 RecBole's results are NumPy's numbers.
    return {key: float(value) for key, value in values.items()}


def _interactions(dataset: Any) -> csr_matrix:
    """Training interactions, sparse ``[n_users, n_items]`` without padding."""
    users = np.asarray(dataset.inter_feat[dataset.uid_field]) - 1
    items = np.asarray(dataset.inter_feat[dataset.iid_field]) - 1
    ones = np.ones(len(users), dtype=np.float32)
    shape = (dataset.user_num - 1, dataset.item_num - 1)
    matrix = csr_matrix((ones, (users, items)), shape=shape)

    # An item stands once and in order in the history of a user.
    matrix.sum_duplicates()
    matrix.sort_indices()
    return matrix


def _encoder(model: Any, side: Side) -> EntityEncoder | None:
    return model.encoder_of(side) if isinstance(model, MultimodalRecommender) else None


def _kind(encoder: EntityEncoder, model: MultimodalRecommender) -> str:
    """Kind of an encoder, as in the manifest."""
    if isinstance(encoder, CollaborativeContentEncoder):
        return "collaborative"
    if isinstance(encoder, ConcatenationEncoder):
        return "concatenation"
    return "single_branch" if model.single_branch else "multi_branch"


def _id_field(dataset: Any, side: Side) -> str:
    return str(dataset.uid_field if side == "user" else dataset.iid_field)


def _side_spec(
    dataset: Any, side: Side, encoder: EntityEncoder | None, model: Any, options: ExportOptions
) -> SideSpec:
    """Describe a side."""
    id_field = _id_field(dataset, side)
    # RecBole counts the padding too.
    n = dataset.num(id_field) - 1
    shown = tuple(fields.display_table(dataset, side, options.display, []).column_names)
    if encoder is None:
        return SideSpec(
            id_field,
            n,
            n,
            "none",
            unused=fields.unused_fields(dataset, side, (), id_field),
            display=shown,
        )

    specs = fields.field_specs(dataset, encoder)
    preferences = getattr(model, f"{side}_preferences", None)
    return SideSpec(
        id_field,
        n,
        dataset.n_known(side) - 1,
        _kind(encoder, model),
        encoder.modalities,
        specs,
        fields.unused_fields(dataset, side, [spec.name for spec in specs], id_field),
        shown,
        0 if preferences is None else preferences.shape[1],
        plain_config(encoder.config, encoder.modalities),
    )


def _side_content(
    dataset: Any,
    side: Side,
    encoder: EntityEncoder | None,
    vectors: Tensor,
    counts: Any,
    spec: SideSpec,
    options: ExportOptions,
) -> SideContent:
    """Collect the content of a side."""
    tokens: Sequence[str] = [str(token) for token in dataset.field2id_token[spec.id_field][1:]]
    parts: dict[str, Tensor] = {}
    available = None
    if options.modalities and encoder is not None:
        for name in encoder.modalities:
            parts[name] = embeddings.alone(encoder, name)
        # eval_modalities may leave some out of the embeddings.
        used = torch.zeros(len(encoder.modalities), dtype=torch.bool)
        used[list(encoder.eval_columns)] = True
        available = encoder.availability[1:].cpu() & used  # [n, modalities]

    return SideContent(
        pa.array(tokens, pa.string()),
        np.asarray(counts, dtype=np.int64),
        fields.display_table(dataset, side, options.display, tokens),
        vectors,
        parts,
        available,
        {} if encoder is None else fields.vocabularies(dataset, encoder),
    )


def _weights(model: MultimodalRecommender) -> dict[str, Tensor]:
    """Collect the parameters and buffers of both encoders."""
    weights: dict[str, Tensor] = {}
    for side in SIDES:
        encoder = model.encoder_of(side)
        n_known = model.n_known[side]
        # Rows of entities that training did not know hold nothing learnt.
        for name, tensor in encoder.state_dict().items():
            rows = tensor[:n_known] if name in encoder.entity_rows() else tensor
            weights[f"{side}_encoder.{name}"] = rows
        weights[f"{side}_stand_in"] = encoder.encode_mean()

        preferences = getattr(model, f"{side}_preferences", None)
        if preferences is not None:
            weights[f"{side}_preferences"] = preferences[:n_known]
    return weights


def describe(content: Content) -> str:
    """Sum up a portable model in one line."""
    manifest = content.manifest
    counts = f"{manifest.users.n:,} users, {manifest.items.n:,} items"
    size = f"{manifest.model}, {counts}, {manifest.embedding_size} dimensions"
    if manifest.items.encoder == "none":
        return f"{size}; embeddings alone: new users and items are impossible"
    return f"{size}; item modalities {', '.join(manifest.items.modalities)}"


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "recbole-sibrar": version("recbole-sibrar"),
        "recbole": version("recbole"),
        "torch": version("torch"),
    }
