"""Base of all models that encode users and items from modality tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_sibrar.config import (
    EncoderConfig,
    check_contrastive,
    check_scaled_fields,
    encoder_config,
    recommender_config,
    resolve_modalities,
    settle_modalities,
)
from recbole_sibrar.data.modality import ModalityTable, TrainingData
from recbole_sibrar.model.encoder import Encoded, EntityEncoder
from recbole_sibrar.model.incomplete import incomplete_tables
from recbole_sibrar.model.inspection import inspect_sides, log_entities_without, unused_fields
from recbole_sibrar.model.lookup import EmbeddingLookup
from recbole_sibrar.model.loss import (
    bce_loss,
    bpr_loss,
    present_parts,
    sampled_softmax_loss,
    weighted_contrast,
)
from recbole_sibrar.model.training import (
    SharedCandidates,
    Teacher,
    WeightAverage,
    as_new_items,
    check_new_items,
    constant_loss,
    forget_after_loading,
    in_random_sets,
    make_start,
    pad_before_loading,
    shared_softmax_loss,
)
from recbole_sibrar.names import ID, INTERACTIONS, SIDES, Side
from recbole_sibrar.parallel.synchronization import Ranks
from recbole_sibrar.protocols import FullConfig


class MultimodalRecommender(GeneralRecommender):
    """Recommender that scores a user and an item by the dot product of their encoded modalities.

    Args:
        config: RecBole's ``Config``.
        dataset: Training part of a :class:`~recbole_sibrar.data.dataset.MultimodalDataset`. The
            model sees its modality tables and training interactions and nothing else.

    Raises:
        ConfigError: A key has a wrong value, or names a modality that the data do not have.
    """

    input_type = InputType.PAIRWISE

    single_branch: ClassVar[bool] = True
    """True if all modalities of a side share one branch."""
    loss_types: ClassVar[tuple[str, ...]] = ("BPR", "BCE", "SSM")
    """Allowed values of ``loss_type``."""
    fixed: ClassVar[Mapping[str, Any]] = {}
    """Keys of the encoders without a meaning for the model, each with its only value."""
    unused_fields: Mapping[Side, tuple[str, ...]]
    """Fields of each side in the data that the model does not encode."""

    def __init__(self, config: FullConfig, dataset: TrainingData) -> None:
        super().__init__(config, dataset)
        tables = incomplete_tables(config, dataset, type(self).__name__)
        self.settings = recommender_config(config, self.loss_types)
        self.n_negative_candidates = dataset.n_negative_candidates
        self.learning_rate: float = config["learning_rate"]

        encoders, modalities = self._read_sides(config, dataset, tables)
        inspect_sides(dataset, tables, encoders, modalities, self.logger)

        # A model may replace tables, which its encoders then read.
        self.prepare(config, tables)
        # In this order: each encoder draws its initial weights.
        self.user_encoder = self.make_encoder(encoders["user"], tables["user"], modalities["user"])
        self.item_encoder = self.make_encoder(encoders["item"], tables["item"], modalities["item"])

        self._prepare_options(config, tables)

        self._lookups = {side: EmbeddingLookup(self.encoder_of(side)) for side in SIDES}
        self.n_known = {side: tables[side][ID].size for side in SIDES}
        # The data may have more users and items than those of the checkpoint.
        self.register_load_state_dict_pre_hook(pad_before_loading)
        self.register_load_state_dict_post_hook(forget_after_loading)
        log_entities_without((self.user_encoder, self.item_encoder), self.logger)

    def _prepare_options(
        self, config: FullConfig, tables: Mapping[Side, dict[str, ModalityTable]]
    ) -> None:
        """Make what the configuration asks for: first weights, parts of the loss, averages."""
        settings = self.settings
        encoders: dict[Side, EntityEncoder] = {"user": self.user_encoder, "item": self.item_encoder}
        # without a learning rate no step treats items as new
        share = 0.0 if self.learning_rate == 0 else settings.new_item_share
        check_new_items(self.user_encoder, self.item_encoder, share)
        users = tables["user"][INTERACTIONS]
        self.set_start = make_start(encoders, users, settings, config["seed"])
        # the checkpoint of a resumed run has other weights; without one, its training sets them
        if not config["resume"]:
            self.set_start()
        self.shared_candidates = SharedCandidates.of(settings, tables, self.n_negative_candidates)
        self.teacher = Teacher.of(settings, tables["user"])

        # Last: it averages everything that stands in the state of the model.
        self.average = WeightAverage(self, settings.ema_decay) if settings.ema_decay else None

    def start_anew(self) -> None:
        """Set the first weights of a training that found no checkpoint to resume from."""
        self.set_start()
        if self.average is not None:
            self.average.restart(self)

    def _read_sides(
        self,
        config: FullConfig,
        dataset: TrainingData,
        tables: Mapping[Side, dict[str, ModalityTable]],
    ) -> tuple[dict[Side, EncoderConfig], dict[Side, tuple[str, ...]]]:
        """Read and check the configuration of both sides, and their modalities."""
        sources = {side: dataset.describe_source(side) for side in SIDES}
        names = {side: self.modality_names(tables[side]) for side in SIDES}
        evaluated = getattr(dataset, "evaluated", {})  # known where the data are split
        for side in SIDES:
            line = settle_modalities(config, side, names[side], *evaluated.get(side, (0, 0)))
            if line:
                self.logger.info(line)

        encoders = {side: encoder_config(config, side, self.fixed) for side in SIDES}
        modalities: dict[Side, tuple[str, ...]] = {}
        for side in SIDES:
            modalities[side] = resolve_modalities(encoders[side], names[side], sources[side])
        self.check(config, encoders, modalities, sources)
        check_scaled_fields(config, encoders, tables)
        self.unused_fields = {side: unused_fields(names[side], modalities[side]) for side in SIDES}
        return encoders, modalities

    def modality_names(self, tables: Mapping[str, ModalityTable]) -> tuple[str, ...]:
        """Names of the modalities of a side that the model can use."""
        return tuple(tables)

    def check(
        self,
        config: FullConfig,
        encoders: dict[Side, EncoderConfig],
        modalities: dict[Side, tuple[str, ...]],
        sources: dict[Side, str],
    ) -> None:
        """Check that configuration and modalities fit together.

        Args:
            config: RecBole's ``Config``.
            encoders: Configuration of each side.
            modalities: Modalities of each side to train with.
            sources: File of each side's fields, for messages.

        Raises:
            ConfigError: They do not.
        """
        left_out = check_contrastive(config, encoders, modalities, sources)
        if left_out:
            self.logger.info(left_out)

    def prepare(self, config: FullConfig, tables: dict[Side, dict[str, ModalityTable]]) -> None:
        """Read the model's own keys, before its encoders are made.

        Args:
            config: RecBole's ``Config``.
            tables: Modalities of each side; may be changed.
        """

    def make_encoder(
        self, config: EncoderConfig, tables: dict[str, ModalityTable], modalities: Sequence[str]
    ) -> EntityEncoder:
        """Make the encoder of one side.

        Args:
            config: Configuration of the side.
            tables: All its modalities.
            modalities: Names of those to train with.
        """
        chosen = [tables[name] for name in modalities]
        return EntityEncoder(config, chosen, tables[ID].available, self.single_branch)

    def synchronize(self, ranks: Ranks) -> None:
        """Compute training steps together with other processes, as one with all rows would."""
        for side in SIDES:
            self.encoder_of(side).ranks = ranks

    def train(self, mode: bool = True) -> MultimodalRecommender:
        """Switch between training and evaluation; the next look-up encodes anew."""
        self.forget_embeddings()
        if self.average is not None:
            self.average.use(self, not mode)
        super().train(mode)
        return self

    def forget_embeddings(self) -> None:
        """Encode again at the next look-up."""
        for lookup in self._lookups.values():
            lookup.forget()

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, ...] | Tensor:
        """Compute the losses of a batch.

        Args:
            interaction: Users, positive items and one negative item a row. With n negatives RecBole
                repeats the positives n times, block after block.

        Returns:
            The recommendation loss, then the weighted contrastive loss of each side, whose sum is
            minimised; a single number where there is one part.
        """
        if self.learning_rate == 0 and self.settings.warm_start != "none":
            # The start is the model, and a step for nothing takes as long as any other.
            return constant_loss(self, self.user_encoder.ranks is not None)

        # With the weights that the previous step has left: no hook follows the optimiser's step.
        if self.average is not None:
            self.average.update(self)

        users, items = self._batch(interaction)
        if self.shared_candidates is not None:
            return self._shared_loss(self.shared_candidates, users, items)

        user = self.user_encoder.encode_training(users)
        item = self.item_encoder.encode_training(items.flatten())
        # enable_amp is for the encoders: scores and losses in half precision would lose digits.
        with torch.autocast(users.device.type, enabled=False):
            candidates = item.embeddings.view(*items.shape, -1)  # [batch, 1 + n, k]
            products = candidates @ user.embeddings[:, :, None]
            scores = self.settings.score_scale * products.squeeze(2)  # [batch, 1 + n]
            parts = [
                self.recommendation_loss(scores, users, items),
                self._contrastive_loss(self.user_encoder, user, users),
                self._contrastive_loss(self.item_encoder, item, items.flatten(), items.shape[1]),
            ]
        return present_parts(parts)

    def _shared_loss(
        self, shared: SharedCandidates, users: Tensor, items: Tensor
    ) -> tuple[Tensor, ...] | Tensor:
        """Losses of a batch whose positives share their candidates; see :meth:`calculate_loss`."""
        candidates, positives, log_probability = shared.choose(items)
        histories = shared.histories(users, candidates)
        excluded = shared.further_positives(users, candidates, positives)
        new_items = candidates if shared.new_share else None
        with as_new_items(self.user_encoder, self.item_encoder, new_items):
            user = self.user_encoder.encode_training(users)
            item = self.item_encoder.encode_training(candidates)

        with torch.autocast(users.device.type, enabled=False):
            products = user.embeddings @ item.embeddings.t()
            scores = self.settings.score_scale * products  # [batch, m]
            targets = None if self.teacher is None else self.teacher.targets(users, candidates)
            weight = self.settings.distillation_weight

            # Candidates belong to no positive: sets of its size are drawn in place of its sample.
            contrast: tuple[Encoded, Tensor, int | None] = (item, candidates, None)
            if self.item_encoder.config.contrastive_scope == "sample":
                contrast = in_random_sets(item, candidates, items.shape[1])

            recommendation = shared_softmax_loss(
                scores, positives, log_probability, targets, weight, histories, excluded
            )
            of_users = self._contrastive_loss(self.user_encoder, user, users)
            of_items = self._contrastive_loss(self.item_encoder, *contrast)
        return present_parts([recommendation, of_users, of_items])

    def _batch(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        """Users ``[batch]`` and items ``[batch, 1 + n]``: the positive, then its negatives."""
        # RecBole repeats users and positives for each negative, block after block.
        n = self.settings.n_negatives
        rows = len(interaction[self.USER_ID])
        if rows % n:
            raise ValueError(
                f"a batch of {rows} rows cannot hold blocks of {n} negatives "
                "(train_neg_sample_args)"
            )

        batch = rows // n
        users = interaction[self.USER_ID][:batch]
        positives = interaction[self.ITEM_ID][:batch, None]
        negatives = interaction[self.NEG_ITEM_ID].view(n, batch).t()  # [batch, n]
        return users, torch.cat([positives, negatives], dim=1)

    def recommendation_loss(self, scores: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """Compute the recommendation loss of a batch.

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
        self, encoder: EntityEncoder, encoded: Encoded, entities: Tensor, n: int | None = None
    ) -> Tensor | None:
        """Weighted loss that compares the two views of one side; None without one."""
        return weighted_contrast(encoder, encoded, entities, n)

    def predict(self, interaction: Interaction) -> Tensor:
        """Score user-item pairs, ``[n]``."""
        users = self._lookups["user"].of(interaction[self.USER_ID])
        items = self._lookups["item"].of(interaction[self.ITEM_ID])
        return (users * items).sum(1)

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Score all items for each user, ``[n_users * n_items]``; -inf for the padding item."""
        users = self._lookups["user"].of(interaction[self.USER_ID])
        scores = users @ self._lookups["item"].all().t()
        # RecBole does so too, but only in its own evaluation.
        scores[:, 0] = -torch.inf
        return scores.flatten()

    def encode_users(
        self, users: Tensor | None = None, modalities: Sequence[str] | None = None
    ) -> Tensor:
        """Encode users as they are scored.

        Args:
            users: int64 ``[n]`` internal ids; None for all, padding included.
            modalities: Modalities to use; None for those of the evaluation.

        Returns:
            float ``[n, embedding_size]``.

        Raises:
            ValueError: A modality is not one that the model was trained with.
        """
        return self._encode("user", users, modalities)

    def encode_items(
        self, items: Tensor | None = None, modalities: Sequence[str] | None = None
    ) -> Tensor:
        """Encode items as they are scored; see :meth:`encode_users`."""
        return self._encode("item", items, modalities)

    def _encode(
        self, side: Side, entities: Tensor | None, modalities: Sequence[str] | None
    ) -> Tensor:
        if modalities is None:
            embeddings = self._lookups[side].all()
        else:
            encoder = self.encoder_of(side)
            embeddings = encoder.encode_all(encoder.columns_of(modalities))
        return embeddings if entities is None else embeddings[entities]

    def entity_rows(self, side: Side) -> list[str]:
        """Names of the parameters and buffers with a row for each entity of a side."""
        names = [f"{side}_encoder.{name}" for name in self.encoder_of(side).entity_rows()]
        if self.average is None:
            return names
        return names + [f"average.{name}" for name in self.average.names_of(names)]

    def encoder_of(self, side: Side) -> EntityEncoder:
        """Return the encoder of one side."""
        return self.user_encoder if side == "user" else self.item_encoder

    @contextmanager
    def hiding(self, side: Side, hidden: Tensor) -> Iterator[None]:
        """Evaluate as if values were missing, within a ``with`` block ([A], missing modalities).

        An entity with nothing left gets the mean of the training entities' embeddings with nothing
        hidden. Afterwards everything is as before, also when the block ends in an exception.

        Args:
            side: Side of the hidden values, ``user`` or ``item``.
            hidden: bool ``[n_entities, n_modalities]``: True for cells that count as missing; rows
                are internal ids, columns follow ``encoder_of(side).modalities``.

        Raises:
            ValueError: ``hidden`` has another shape or type, or the model is in training mode.
        """
        if self.training:
            raise ValueError("values can be hidden at inference only; call model.eval() first")
        with self._lookups[side].hiding(hidden):
            yield
