"""Softmax over items that all positives of a batch share."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_sibrar.config import RecommenderConfig, refuse
from recbole_sibrar.data.modality import ModalityTable
from recbole_sibrar.model.encoder import Encoded
from recbole_sibrar.model.layers.gathering import distinct, gather_rows
from recbole_sibrar.model.layers.tables import gather_bags
from recbole_sibrar.names import ID, INTERACTIONS, Side

LARGEST = 1 << 27
"""Largest number of scores in a batch: about 4 GB with their gradients."""

_SMALLEST = 1e-6
"""Smallest probability of inclusion; bounds the correction of items that are hardly ever drawn."""


class SharedCandidates(nn.Module):
    """Items that the positives of a batch are told apart from: all training items, or the batch's.

    Example:
        >>> trained = torch.tensor([False, True, True, False, True])
        >>> counts = torch.tensor([0, 3, 2, 0, 1])
        >>> candidates = SharedCandidates(trained, counts, n_negative_candidates=3, all_items=True)
        >>> chosen, positions, _ = candidates.choose(torch.tensor([[4, 1], [2, 1]]))
        >>> chosen.tolist(), positions.tolist()
        ([1, 2, 4], [2, 1])

    Args:
        trained: bool ``[n_items]``: True for items with training interactions.
        counts: int64 ``[n_items]``: training interactions of each item.
        n_negative_candidates: Number of items that negatives are drawn from.
        all_items: All training items; else those of the batch.
        histories: Users' training interactions: targets of a loss with the whole history of a user,
            or items of the batch that are no negatives of the user; None for a softmax over all
            training items with single targets.
        new_share: Share of the training items that a step draws as its candidates; 0 for all.
    """

    indices: Tensor | None
    offsets: Tensor | None

    trained: Tensor
    shares: Tensor

    def __init__(
        self,
        trained: Tensor,
        counts: Tensor,
        n_negative_candidates: int,
        all_items: bool,
        histories: ModalityTable | None = None,
        new_share: float = 0.0,
    ) -> None:
        super().__init__()
        self.new_share = new_share
        self.all_items = all_items
        self.n_negative_candidates = n_negative_candidates
        # Data, not parameters: a checkpoint is loaded on top of the data set in use.
        indices = None if histories is None else histories.indices
        offsets = None if histories is None else histories.offsets
        shares = counts / counts.sum().clamp(min=1)
        self.register_buffer("trained", trained, persistent=False)
        self.register_buffer("indices", indices, persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("shares", shares, persistent=False)

    @classmethod
    def of(
        cls,
        settings: RecommenderConfig,
        tables: Mapping[Side, Mapping[str, ModalityTable]],
        n_negative_candidates: int,
    ) -> SharedCandidates | None:
        """Make the candidates that a configuration asks for.

        Args:
            settings: Configuration of the recommendation loss.
            tables: Modalities of each side.
            n_negative_candidates: Number of items that negatives are drawn from.

        Returns:
            The candidates; None where each positive has negatives of its own.
        """
        if settings.negatives == "per_positive":
            return None

        offsets = tables["item"][INTERACTIONS].offsets
        assert offsets is not None
        all_items = settings.negatives == "all"
        has_histories = settings.targets == "history" or not all_items
        histories = tables["user"][INTERACTIONS] if has_histories else None
        return cls(
            tables["item"][ID].available,
            offsets.diff(),
            n_negative_candidates,
            all_items,
            histories,
            settings.new_item_share,
        )

    def choose(self, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the candidates of a batch.

        Args:
            items: int64 ``[batch, 1 + n]``: positives, then their negatives.

        Returns:
            The candidates ``[m]``, ascending, the position of each positive among them ``[batch]``,
            and the logarithm of each candidate's probability to be one ``[m]``. Where a step draws
            new items, the positions have no meaning.

        Raises:
            ConfigError: There are too many scores.
        """
        if self.new_share:
            candidates = self._draw_new(items)
            log_probability = torch.zeros(len(candidates), device=items.device)
            return candidates, torch.zeros_like(items[:, 0]), log_probability

        if self.all_items:
            _check_size("all", len(items), int(self.trained.sum()))
            candidates = self.trained.nonzero().flatten()
            positions = self.trained.cumsum(0) - 1
            # Each training item is a candidate with the probability 1.
            log_probability = torch.zeros(len(candidates), device=items.device)
            return candidates, positions[items[:, 0]], log_probability

        candidates, inverse = distinct(items.flatten(), len(self.trained))
        _check_size("shared", len(items), len(candidates))
        positions = inverse.view(items.shape)[:, 0]
        return candidates, positions, self._log_probability(candidates, items)

    def _draw_new(self, items: Tensor) -> Tensor:
        """Draw the items that a step treats as new, ascending; fewer in large data, as a softmax over less of them."""
        drawn = torch.rand(self.trained.shape, device=items.device) < self.new_share
        candidates = (self.trained & drawn).nonzero().flatten()

        most = LARGEST // max(len(items), 1)
        if len(candidates) <= most:
            return candidates
        kept = torch.randperm(len(candidates), device=items.device)[:most]
        return candidates[kept].sort().values

    def histories(self, users: Tensor, candidates: Tensor) -> Tensor | None:
        """Shares of the candidates in the histories of some users, float ``[n_users, m]``.

        None for single targets. Rows sum to 1, or to 0 for users without a candidate in their
        history.

        Args:
            users: int64 ``[n_users]``, users with training interactions.
            candidates: int64 ``[m]``, ascending.
        """
        if not self.all_items or self.indices is None or self.offsets is None:
            return None

        rows, columns = self._in_histories(self.indices, self.offsets, users, candidates)
        counts = torch.bincount(rows, minlength=len(users))
        shares = torch.zeros(len(users), len(candidates), device=users.device)
        shares[rows, columns] = (1 / counts.to(shares.dtype))[rows]
        return shares

    def further_positives(
        self, users: Tensor, candidates: Tensor, positives: Tensor
    ) -> Tensor | None:
        """Find the training items of each user among the items of a batch, which are no negatives.

        Args:
            users: int64 ``[batch]``.
            candidates: int64 ``[m]``.
            positives: int64 ``[batch]``: position of each positive among the candidates; it is not
                meant.

        Returns:
            bool ``[batch, m]``; None for a softmax over all training items.
        """
        if self.all_items or self.indices is None or self.offsets is None:
            return None

        rows, columns = self._in_histories(self.indices, self.offsets, users, candidates)
        further = torch.zeros(len(users), len(candidates), dtype=torch.bool, device=users.device)
        further[rows, columns] = True
        further[torch.arange(len(users), device=users.device), positives] = False
        return further

    def _in_histories(
        self, indices: Tensor, offsets: Tensor, users: Tensor, candidates: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Find candidates in the histories of users: positions of user and candidate, ``[p]``."""
        items, _, sizes = gather_bags(indices, offsets, users)
        rows = torch.arange(len(users), device=users.device).repeat_interleave(sizes)
        # A table of all items looks candidates up without a sort.
        columns = torch.full_like(self.trained, -1, dtype=torch.long)
        columns[candidates] = torch.arange(len(candidates), device=users.device)

        places = columns[items]
        found = places >= 0
        return rows[found], places[found]

    def _log_probability(self, candidates: Tensor, items: Tensor) -> Tensor:
        """Logarithm of the probability that a batch has an item, as a positive or as a negative.

        It is 1 - (1 - p)^b (1 - 1/N)^(b n) with the share p of the item in the interactions.
        """
        n_negatives = items.numel() - len(items)
        no_positive = len(items) * torch.log1p(-self.shares[candidates].clamp(max=1 - _SMALLEST))
        share = -1 / max(self.n_negative_candidates, 2)
        no_negative = n_negatives * torch.log1p(torch.tensor(share))
        # log1p and expm1 keep the digits of small probabilities, which 1 - p would lose.
        return (-torch.expm1(no_positive + no_negative)).clamp(min=_SMALLEST).log()


def _check_size(choice: str, n_positives: int, n_candidates: int) -> None:
    """Refuse more scores than memory holds, before they are computed."""
    if n_positives * n_candidates > LARGEST:
        fewer = "" if choice == "shared" else ", or negatives shared or per_positive"
        refuse(
            "negatives",
            choice,
            f"{choice} with up to {LARGEST} scores in a batch, not {n_positives} positives by "
            f"{n_candidates} items; a train_batch_size "
            f"{math.ceil(n_positives * n_candidates / LARGEST)} times smaller helps{fewer}",
        )


def shared_softmax_loss(
    scores: Tensor,
    positives: Tensor,
    log_probability: Tensor,
    soft_targets: Tensor | None = None,
    weight: float = 0.0,
    histories: Tensor | None = None,
    excluded: Tensor | None = None,
) -> Tensor:
    r"""Compute the softmax over candidates that all rows share, mean over the rows.

    A candidate's term of the sum is divided by its probability pi to be a candidate, which makes
    the sum an unbiased estimate of that over all items (Horvitz & Thompson 1952; log-Q correction:
    Bengio & Senecal 2008). The positive is always there:

    .. math:: -y_p + \log(e^{y_p} + \sum_{j \ne p} e^{y_j} / \pi_j)

    With a teacher, the loss is (1 - weight) times this plus weight times the cross-entropy of the
    same distribution against the teacher's. With histories, the positive gives way to the mean over
    the user's training items, the multinomial likelihood of Liang et al. (WWW 2018): one step then
    learns from whole histories. Excluded candidates are no terms of the sum; the teacher's
    distribution has them all the same.

    Args:
        scores: float ``[batch, m]``.
        positives: int64 ``[batch]``: position of each positive among the candidates.
        log_probability: float ``[m]``: log pi.
        soft_targets: float ``[batch, m]``, rows sum to 1; None without a teacher.
        weight: Weight of the teacher, from 0 to 1.
        histories: float ``[batch, m]``: shares of each user's training items; None for the
            positives.
        excluded: bool ``[batch, m]``: candidates that are no negatives of a row; None for none.

    Example:
        >>> scores = torch.zeros(1, 4)
        >>> round(shared_softmax_loss(scores, torch.tensor([2]), torch.zeros(4)).item(), 4)  # ln 4
        1.3863
    """
    # The positive is a candidate with the probability 1.
    rows = torch.arange(len(scores), device=scores.device)
    correction = log_probability.expand_as(scores).clone()
    correction[rows, positives] = 0

    logits = scores - correction
    compared = logits if excluded is None else logits.masked_fill(excluded, -torch.inf)
    log_share = functional.log_softmax(compared, dim=1)
    shares = log_share[rows, positives] if histories is None else (histories * log_share).sum(1)
    loss = -shares.mean()
    if soft_targets is None:
        return loss

    of_all = log_share if excluded is None else functional.log_softmax(logits, dim=1)
    return (1 - weight) * loss - weight * (soft_targets * of_all).sum(1).mean()


def random_sets(n: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Divide n candidates at random into sets of one size, for a contrastive loss within the sets.

    Args:
        n: Number of candidates.
        size: Number of candidates in a set.
        device: Device of the results.

    Returns:
        Positions of the candidates, int64 ``[sets * size]``, and bool: False for places that fill
        up the last set.

    Example:
        >>> positions, is_candidate = random_sets(5, 3, torch.device("cpu"))
        >>> sorted(positions[is_candidate].tolist()), is_candidate.tolist()
        ([0, 1, 2, 3, 4], [True, True, True, True, True, False])
    """
    # The last set is filled up with position 0, which counts as no candidate.
    positions = torch.randperm(n, device=device)
    n_missing = -n % size
    is_candidate = torch.arange(n + n_missing, device=device) < n
    return functional.pad(positions, (0, n_missing)), is_candidate


def in_random_sets(encoded: Encoded, candidates: Tensor, size: int) -> tuple[Encoded, Tensor, int]:
    """Divide shared candidates into sets for the contrastive loss.

    Args:
        encoded: The candidates with their views.
        candidates: int64 ``[m]``.
        size: Number of candidates in a set, as of a positive with negatives of its own.

    Example:
        >>> views = torch.arange(3.0)[:, None]
        >>> encoded = Encoded(views, views, -views, torch.ones(3, dtype=torch.bool))
        >>> divided, candidates, size = in_random_sets(encoded, torch.tensor([10, 11, 12]), 2)
        >>> len(divided.first), divided.valid.tolist(), size
        (4, [True, True, True, False], 2)
    """
    if encoded.first is None or encoded.second is None or encoded.valid is None:
        return encoded, candidates, size

    order, is_candidate = random_sets(len(candidates), size, candidates.device)
    first = gather_rows(encoded.first, order)
    second = gather_rows(encoded.second, order)
    valid = encoded.valid[order] & is_candidate
    return Encoded(encoded.embeddings, first, second, valid), candidates[order], size
