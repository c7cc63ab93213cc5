"""Users and items of a portable model: tokens, interactions, and the encoding of new ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recbole_sibrar.errors import DataError, PortableModelError
from recbole_sibrar.names import ID, INTERACTIONS, SIDES, Side
from recbole_sibrar.serving.bundle.content import Content
from recbole_sibrar.serving.encoding.cells import split_cells, texts
from recbole_sibrar.serving.encoding.encoder import Batch, Encoded, SideEncoder
from recbole_sibrar.serving.encoding.frames import Frame
from recbole_sibrar.serving.encoding.loading import load_encoder
from recbole_sibrar.serving.tokens import TokenIndex

__all__ = ["Entities"]


class Entities:
    """Tokens, training interactions and encoders of both sides.

    Args:
        content: The portable model.

    Raises:
        PortableModelError: Its weights do not fit its description.
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self.manifest = content.manifest
        self.tokens: dict[Side, TokenIndex] = {}
        self.encoders: dict[Side, SideEncoder | None] = {}
        for side in SIDES:
            held = content.side(side)
            self.tokens[side] = TokenIndex(side, held.tokens, held.order)
            self.encoders[side] = load_encoder(content, side)

    @cached_property
    def by_user(self) -> csr_matrix:
        """Training interactions, sparse ``[n_users, n_items]``."""
        histories = self.content.histories
        shape = (len(self.content.users.tokens), len(self.content.items.tokens))
        ones = np.ones(len(histories.items), dtype=np.float32)
        return csr_matrix((ones, histories.items, histories.offsets), shape=shape)

    @cached_property
    def by_item(self) -> csr_matrix:
        """Training interactions, sparse ``[n_items, n_users]``."""
        return csr_matrix(self.by_user.T)

    def encoder(self, side: Side) -> SideEncoder:
        """Return the encoder of a side.

        Raises:
            PortableModelError: The model has embeddings of known users and items alone.
        """
        encoder = self.encoders[side]
        if encoder is None:
            raise PortableModelError(
                f"{self.manifest.model} knows the users and items of its training alone, so that "
                f"new {side}s cannot be encoded; allowed are SiBraR, MuBraR, DropoutNet and CLCRec"
            )
        return encoder

    def batch(self, side: Side, frame: Frame) -> Batch:
        """Prepare users or items for their encoding; known ones keep the interactions of training.

        Args:
            side: ``user`` or ``item``.
            frame: Their fields; the column ``interactions`` has the ids of the other side.
        """
        numbers = np.full(frame.n, -1, dtype=np.int64)
        if frame.tokens is not None:
            numbers = self.tokens[side].numbers(list(frame.tokens))

        # Only those of training have a free embedding: neither added ones nor held-out ones.
        popularity = self.content.side(side).popularity
        is_trained = (numbers >= 0) & (numbers < len(popularity))
        is_trained[is_trained] = popularity[numbers[is_trained]] > 0
        rows = np.where(is_trained, numbers, -1)
        bags, is_changed = self._interactions(side, frame, rows)
        return Batch(frame, rows, bags, is_changed)

    def _interactions(
        self, side: Side, frame: Frame, rows: NDArray[np.int64]
    ) -> tuple[csr_matrix, NDArray[np.bool_]]:
        """Interactions of a batch, and the rows whose interactions are those of the table."""
        other: Side = "item" if side == "user" else "user"
        given, sizes = self.linked(side, frame)
        is_changed = sizes > 0
        owners = np.arange(frame.n).repeat(sizes)

        # Items added since training have no column among the inputs of the model.
        n_other = self.manifest.side(other).n_trained
        usable = (given >= 0) & (given < n_other)
        row_numbers = [owners[usable]]
        column_numbers = [given[usable]]

        # Interactions of the table override those of training.
        known = np.flatnonzero((rows >= 0) & ~is_changed)
        if len(known):
            matrix = self.by_user if side == "user" else self.by_item
            held = matrix[rows[known]].tocoo()
            row_numbers.append(known[held.row])
            column_numbers.append(held.col)

        places = (np.concatenate(row_numbers), np.concatenate(column_numbers))
        ones = np.ones(len(places[0]), dtype=np.float32)
        bags = csr_matrix((ones, places), shape=(frame.n, n_other))
        bags.data[:] = 1  # an id that occurs twice counts once
        return bags, is_changed

    def linked(self, side: Side, frame: Frame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Look up the column ``interactions`` of a table.

        Args:
            side: ``user`` or ``item``: side of the table.
            frame: The table.

        Returns:
            Numbers on the other side, one row after the other, -1 for unknown ones; and how many
            each row has, ``[n]``.
        """
        cells = frame.columns.get(INTERACTIONS, pa.nulls(frame.n))
        elements, sizes = split_cells(cells, self.manifest.separator)
        if not len(elements):
            return np.zeros(0, dtype=np.int64), sizes

        index = self.tokens["item" if side == "user" else "user"]
        return index.numbers(elements.cast(pa.string())), sizes

    def check_clicks(self, frame: Frame) -> None:
        """Check that the model knows the clicked items of a table of users.

        Raises:
            UnknownEntityError: It does not know one.
        """
        numbers, _ = self.linked("user", frame)
        if len(numbers) and numbers.min() < 0:
            elements, _ = split_cells(frame.columns[INTERACTIONS], self.manifest.separator)
            unknown = texts(elements)[int(numbers.argmin())]
            # Looked up again, as its error names the nearest token.
            self.tokens["item"].number(unknown.as_py())

    def encode(
        self, side: Side, frame: Frame, modalities: Sequence[str] | None = None, parts: bool = False
    ) -> Encoded:
        """Encode users or items.

        Args:
            side: ``user`` or ``item``.
            frame: Their fields.
            modalities: Modalities to use; None for those of the evaluation.
            parts: Encode each modality alone as well.

        Raises:
            PortableModelError: The model has no encoder of that side.
            DataError: A cell holds no value of its field's type, or a modality is unknown.
        """
        encoder = self.encoder(side)
        try:
            encoded = encoder.encode(self.batch(side, frame), modalities, parts)
        except DataError as error:
            raise DataError(f"{side}s, {error}") from None
        except ValueError as error:
            raise DataError(f"{side}s: {error}") from None
        _check_embeddings(side, encoded)
        return encoded

    def check_new(self, side: Side, frame: Frame) -> None:
        """Check that new users or items have something that the model can encode.

        Raises:
            DataError: They have not.
        """
        modalities = self.encoder(side).modalities
        usable = [name for name in modalities if name != ID]
        if not usable:
            raise DataError(
                f"{self.manifest.model} was trained with {side}_modalities [id] alone, so that new "
                f"{side}s have none; train it with {side}_modalities=auto"
            )
        if not any(name in frame.columns for name in usable):
            raise DataError(
                f"{side}s: found none of {', '.join(usable)}, one of which the model needs for a "
                f"new {side}"
            )


def _check_embeddings(side: Side, encoded: Encoded) -> None:
    """Refuse embeddings whose scores would not be finite.

    Raises:
        DataError: There is one.
    """
    # One such item would spoil the answers of all users. The squared length overflows before any
    # dot product of two embeddings does.
    squares = encoded.embeddings.square().sum(1)
    wrong = np.flatnonzero(~squares.isfinite().numpy())
    if len(wrong):
        raise DataError(
            f"{side}s, row {wrong[0] + 1}: found a number too large for the model, allowed are "
            "smaller ones"
        )
