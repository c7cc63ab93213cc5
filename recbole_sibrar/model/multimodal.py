"""What all models that encode users and items from modality tables share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_sibrar.config import (
    ConfigError,
    EncoderConfig,
    check_contrastive,
    check_scaled_fields,
    encoder_config,
    recommender_config,
    resolve_modalities,
    settle_modalities,
)
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.encoder import Encoded, EntityEncoder, gather_rows
from recbole_sibrar.model.growth import id_weights, pad_rows
from recbole_sibrar.model.inspection import Inspection
from recbole_sibrar.model.loss import bce_loss, bpr_loss, info_nce_loss, sampled_softmax_loss
from recbole_sibrar.names import ID, RESERVED_NAMES, SIDES, Side
from recbole_sibrar.parallel.synchronization import Ranks


class MultimodalRecommender(GeneralRecommender):
    """Scores a user and an item by the dot product of their encoded modalities.

    Args:
        config: RecBole's ``Config``.
        dataset: The training part of a :class:`~recbole_sibrar.data.dataset.MultimodalDataset`. The model sees
            its modality tables and training interactions and nothing else.

    Raises:
        ConfigError: A key has a value that is not allowed, or names a modality that the data do not have.
    """

    input_type = InputType.PAIRWISE

    single_branch: ClassVar[bool] = True
    """Whether all modalities of a side share one branch."""
    loss_types: ClassVar[tuple[str, ...]] = ("BPR", "BCE", "SSM")
    """Values of ``loss_type`` that the model knows."""
    fixed: ClassVar[Mapping[str, Any]] = {}
    """Keys of the encoders that have no meaning for the model, with the values that they have to have."""
    unused_fields: Mapping[Side, tuple[str, ...]]
    """Fields of each side that the data have and the model does not encode."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        if not hasattr(dataset, "modality_tables"):
            raise ConfigError(
                f"model {type(self).__name__}: found a {type(dataset).__name__}, allowed is a MultimodalDataset; "
                "make it with recbole.data.create_dataset(config)"
            )
        self.settings = recommender_config(config, self.loss_types)
        self.n_negative_candidates: int = dataset.n_negative_candidates
        tables = {side: dataset.modality_tables(side) for side in SIDES}
        sources = {side: dataset.describe_source(side) for side in SIDES}
        names = {side: self.modality_names(tables[side]) for side in SIDES}
        self._settle_modalities(config, dataset, names)
        encoders = {side: encoder_config(config, side, self.fixed) for side in SIDES}
        modalities = {side: resolve_modalities(encoders[side], names[side], sources[side]) for side in SIDES}
        self.check(config, encoders, modalities, sources)
        check_scaled_fields(config, encoders, tables)
        self.unused_fields = {side: _unused_fields(names[side], modalities[side]) for side in SIDES}
        for side in SIDES:
            trained = tables[side][ID].available
            inspection = Inspection(encoders[side], trained, sources[side], partial(_token_of, dataset, side))
            self._inspect(inspection, [tables[side][name] for name in modalities[side]])
        self.prepare(config, tables)
        self.user_encoder = self.make_encoder(encoders["user"], tables["user"], modalities["user"])
        self.item_encoder = self.make_encoder(encoders["item"], tables["item"], modalities["item"])
        self._embeddings: dict[str, Tensor] = {}
        self._means: dict[str, Tensor] = {}
        self._n_looked_up: dict[str, int] = {}
        self._forget_embeddings()
        self.n_known = {side: tables[side][ID].size for side in SIDES}
        self.register_load_state_dict_pre_hook(_pad_before_loading)
        self.register_load_state_dict_post_hook(_forget_after_loading)
        self._log_entities_without()

    def _settle_modalities(self, config: Any, dataset: Any, names: Mapping[Side, tuple[str, ...]]) -> None:
        """Choose the modalities of a side for which the configuration leaves that to the split."""
        evaluated = getattr(dataset, "evaluated", {})
        for side in SIDES:
            line = settle_modalities(config, side, names[side], *evaluated.get(side, (0, 0)))
            if line:
                self.logger.info(line)

    def _inspect(self, inspection: Inspection, tables: Sequence[ModalityTable]) -> None:
        """Check the numbers and vectors of a side, and log how they are scaled."""
        fields = inspection.fields(tables)
        if fields:
            described = ", ".join(field.describe() for field in fields)
            self.logger.info(f"scaling of {inspection.config.side} fields: {described}")
        for warning in inspection.warnings(tables, fields):
            self.logger.warning(warning)

    def modality_names(self, tables: Mapping[str, ModalityTable]) -> tuple[str, ...]:
        """Names of the modalities of a side that the model can use."""
        return tuple(tables)

    def check(
        self,
        config: Any,
        encoders: dict[Side, EncoderConfig],
        modalities: dict[Side, tuple[str, ...]],
        sources: dict[Side, str],
    ) -> None:
        """Check that configuration and modalities fit together.

        Args:
            config: RecBole's ``Config``.
            encoders: The configuration of each side.
            modalities: The modalities of each side to train with.
            sources: Where the fields of each side come from, for messages.

        Raises:
            ConfigError: They do not.
        """
        left_out = check_contrastive(config, encoders, modalities, sources)
        if left_out:
            self.logger.info(left_out)

    def prepare(self, config: Any, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Read what only this model has, before its encoders are made.

        Args:
            config: RecBole's ``Config``.
            tables: The modalities of each side, which may be changed.
        """

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """The encoder of one side.

        Args:
            config: The configuration of the side.
            tables: All its modalities.
            modalities: Names of those to train with.
        """
        chosen = [tables[name] for name in modalities]
        return EntityEncoder(config, chosen, tables[ID].available, self.single_branch)

    def _log_entities_without(self) -> None:
        for encoder in (self.user_encoder, self.item_encoder):
            without = encoder.count_without()
            if without:
                names = ", ".join(encoder.modalities[column] for column in encoder.eval_columns)
                self.logger.info(
                    f"{without} of {encoder.n_entities - 1} {encoder.config.side}s have none of the modalities "
                    f"{names}; they get the mean of the training embeddings"
                )

    def synchronize(self, ranks: Ranks) -> None:
        """Compute training steps together with other processes, as one process with the rows of all would."""
        for side in SIDES:
            self.encoder_of(side).ranks = ranks

    def train(self, mode: bool = True) -> MultimodalRecommender:
        """Switch between training and evaluation; either way embeddings are encoded anew when they are next needed."""
        self._forget_embeddings()
        return super().train(mode)

    def _forget_embeddings(self) -> None:
        self._embeddings, self._means = {}, {}
        self._n_looked_up = {"user": 0, "item": 0}

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, ...] | Tensor:
        """Losses of a batch: the recommendation loss, then the weighted contrastive loss of each side that has one.

        Args:
            interaction: Users, positive items and one negative item a row. With n negatives RecBole repeats
                the positives n times, block after block.

        Returns:
            The parts, whose sum is the loss that is minimised; a single number where there is one part.
        """
        n = self.settings.n_negatives
        rows = len(interaction[self.USER_ID])
        if rows % n:
            raise ValueError(f"a batch of {rows} rows cannot hold blocks of {n} negatives (train_neg_sample_args)")
        batch = rows // n
        users = interaction[self.USER_ID][:batch]
        negatives = interaction[self.NEG_ITEM_ID].view(n, batch).t()  # [batch, n]
        items = torch.cat([interaction[self.ITEM_ID][:batch, None], negatives], dim=1)  # [batch, 1 + n]
        user = self.user_encoder.encode_training(users)
        item = self.item_encoder.encode_training(items.flatten())
        with torch.autocast(users.device.type, enabled=False):  # enable_amp is for the encoders
            scores = (item.embeddings.view(batch, 1 + n, -1) @ user.embeddings[:, :, None]).squeeze(2)
            parts = [self.recommendation_loss(scores, users, items)]
            parts += self._contrastive_loss(self.user_encoder, user, users, None)
            parts += self._contrastive_loss(self.item_encoder, item, items.flatten(), 1 + n)
        return tuple(parts) if len(parts) > 1 else parts[0]

    def recommendation_loss(self, scores: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """The recommendation loss of a batch.

        Args:
            scores: float ``[b, 1 + n]``: of the positive, then of its negatives.
            users: int64 ``[b]``.
            items: int64 ``[b, 1 + n]``.
        """
        positive, negative = scores[:, 0], scores[:, 1:]
        if self.settings.loss_type == "BPR":
            return bpr_loss(positive, negative)
        if self.settings.loss_type == "BCE":
            return bce_loss(positive, negative)
        return sampled_softmax_loss(positive, negative, self.n_negative_candidates)

    def _contrastive_loss(
        self, encoder: EntityEncoder, encoded: Encoded, entities: Tensor, size: int | None
    ) -> list[Tensor]:
        """The weighted contrastive loss of one side, or nothing if it has none.

        Args:
            encoder: The side's encoder.
            encoded: The occurrences of the batch.
            entities: int64 ``[b]``, whose occurrences they are.
            size: Entities per sample; None where a sample has a single entity (the user), so that the sets of
                ``contrastive_scope: sample`` would be trivial and the batch is the set.
        """
        if encoded.first is None or encoded.second is None or encoded.valid is None:
            return []
        first, second, valid = encoded.first, encoded.second, encoded.valid
        of_batch = size is None or encoder.config.contrastive_scope == "batch"
        if of_batch:
            first, second = _distinct_pairs(first, second, entities, valid, encoder.ranks)
            valid = torch.ones(len(first), dtype=torch.bool, device=first.device)
        size = len(first) if of_batch else size
        if not size:
            return [(first.sum() + second.sum()) * 0]
        loss = info_nce_loss(
            first.view(-1, size, first.shape[1]),
            second.view(-1, size, second.shape[1]),
            valid.view(-1, size),
            encoder.config.temperature,
        )
        if encoder.ranks is not None and not of_batch:
            loss = loss * encoder.ranks.share(valid.sum())
        return [encoder.config.contrastive_weight * loss]

    def predict(self, interaction: Interaction) -> Tensor:
        """Scores of user-item pairs, ``[n]``."""
        users = self._lookup(self.user_encoder, interaction[self.USER_ID])
        items = self._lookup(self.item_encoder, interaction[self.ITEM_ID])
        return (users * items).sum(1)

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Scores of all items for each user, ``[n_users * n_items]``; -inf for the padding item."""
        users = self._lookup(self.user_encoder, interaction[self.USER_ID])
        scores = users @ self._all(self.item_encoder).t()
        scores[:, 0] = -torch.inf
        return scores.flatten()

    def encode_users(self, users: Tensor | None = None, modalities: Sequence[str] | None = None) -> Tensor:
        """Embeddings of users, as they are scored.

        Args:
            users: int64 ``[n]`` internal ids; None for all, padding included.
            modalities: The modalities to use; None for those of the evaluation.

        Returns:
            float ``[n, embedding_size]``.

        Raises:
            ValueError: A modality is not one that the model was trained with.
        """
        return self._encode(self.user_encoder, users, modalities)

    def encode_items(self, items: Tensor | None = None, modalities: Sequence[str] | None = None) -> Tensor:
        """Embeddings of items, as they are scored; see :meth:`encode_users`."""
        return self._encode(self.item_encoder, items, modalities)

    def entity_rows(self, side: Side) -> list[str]:
        """Names of the parameters and buffers that have a row for each entity of a side."""
        return id_weights(self.encoder_of(side), f"{side}_encoder.")

    def encoder_of(self, side: Side) -> EntityEncoder:
        """The encoder of one side."""
        return self.user_encoder if side == "user" else self.item_encoder

    @contextmanager
    def hiding(self, side: Side, hidden: Tensor) -> Iterator[None]:
        """Evaluate the model as if values were missing, within a ``with`` block ([A], missing modalities).

        An entity that has nothing left gets the mean of the training entities' embeddings with nothing hidden.
        Afterwards everything is as before, also when the block ends in an exception.

        Args:
            side: Whose values are hidden, ``user`` or ``item``.
            hidden: bool ``[n_entities, n_modalities]``: the cells that count as missing; rows are internal ids,
                columns follow ``encoder_of(side).modalities``.

        Raises:
            ValueError: ``hidden`` has another shape or type, or the model is in training mode.
        """
        if self.training:
            raise ValueError("values can be hidden at inference only; call model.eval() first")
        with self.encoder_of(side).hiding(hidden):
            self._forget_embeddings()
            try:
                yield
            finally:
                self._forget_embeddings()

    def _encode(self, encoder: EntityEncoder, entities: Tensor | None, modalities: Sequence[str] | None) -> Tensor:
        if modalities is None:
            embeddings = self._all(encoder)
        else:
            embeddings, _ = encoder.encode_all(encoder.columns_of(modalities))
        return embeddings if entities is None else embeddings[entities]

    def _all(self, encoder: EntityEncoder) -> Tensor:
        """Embeddings of all entities of a side, encoded once until the mode or the parameters change."""
        side = encoder.config.side
        if side in self._embeddings:
            return self._embeddings[side]
        embeddings, _ = encoder.encode_all()
        if not self.training:
            self._embeddings[side] = embeddings
        return embeddings

    def _lookup(self, encoder: EntityEncoder, entities: Tensor) -> Tensor:
        """Embeddings of some entities: of a few, only those are encoded; of many, in one call or several, all are."""
        side = encoder.config.side
        n = len(entities) + (0 if self.training else self._n_looked_up[side])
        if side in self._embeddings or n * 8 >= encoder.n_entities:
            return self._all(encoder)[entities]
        self._n_looked_up[side] = n
        embeddings, has_any = encoder.encode(entities)
        if bool(has_any.all()):
            return embeddings
        return torch.where(has_any[:, None], embeddings, self._mean(encoder))

    def _mean(self, encoder: EntityEncoder) -> Tensor:
        """Mean embedding of the training entities, for those without any modality."""
        side = encoder.config.side
        if side not in self._means:
            _, mean = encoder.encode_all()
            if self.training:
                return mean
            self._means[side] = mean
        return self._means[side]


def _token_of(dataset: Any, side: Side, entity: int) -> str:
    """Original id of a user or item."""
    field = dataset.uid_field if side == "user" else dataset.iid_field
    return str(dataset.field2id_token[field][entity])


def _unused_fields(names: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
    """The fields of the data that are no modalities of the model."""
    return tuple(name for name in names if name not in chosen and name not in RESERVED_NAMES)


def _pad_before_loading(model: MultimodalRecommender, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Make room for the users and items that the data have and the training of the checkpoint had not."""
    for side in SIDES:
        names = [f"{prefix}{name}" for name in model.entity_rows(side)]
        pad_rows(state, names, model.n_known[side], model.encoder_of(side).n_entities)


def _forget_after_loading(model: MultimodalRecommender, keys: Any) -> None:
    model._forget_embeddings()


def _distinct_pairs(
    first: Tensor, second: Tensor, entities: Tensor, valid: Tensor, ranks: Ranks | None
) -> tuple[Tensor, Tensor]:
    """The two views of each distinct entity of a batch, of all ranks if there are several."""
    chosen = _first_occurrences(entities, valid)
    first, second = gather_rows(first, chosen), gather_rows(second, chosen)
    if ranks is None:
        return first, second
    entities = ranks.gather(entities[chosen])
    chosen = _first_occurrences(entities, torch.ones_like(entities, dtype=torch.bool))
    return gather_rows(ranks.gather(first), chosen), gather_rows(ranks.gather(second), chosen)


def _first_occurrences(entities: Tensor, valid: Tensor) -> Tensor:
    """Positions of the first valid occurrence of each distinct entity."""
    positions = torch.arange(len(entities), device=entities.device)[valid]
    distinct, inverse = torch.unique(entities[valid], return_inverse=True)
    first = torch.full((len(distinct),), len(entities), device=entities.device)
    return first.scatter_reduce(0, inverse, positions, reduce="amin")
