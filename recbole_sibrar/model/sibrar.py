"""SiBraR: one branch for all modalities."""

from __future__ import annotations

from recbole_sibrar.model.multimodal import MultimodalRecommender


class SiBraR(MultimodalRecommender):
    r"""Single-branch recommender (Ganhör et al., RecSys 2024, doi 10.1145/3640457.3688138).

    For an entity :math:`x` and each of its modalities :math:`m` with value :math:`v_m`, a projection
    :math:`p_m` brings the value to a common size and ONE branch :math:`g` embeds it:

    .. math:: e_x = \mathrm{mean}_m\; g(p_m(v_m)), \qquad y(u, i) = \langle e_u, e_i \rangle

    Training draws modalities at random (modality sampling) and pulls two modalities of an entity together
    with a symmetric InfoNCE loss, so that any subset of the modalities gives a usable embedding: the model
    recommends when modalities are missing, and a new item is merely one whose ``interactions`` are missing.
    With contrastive loss this is SiBraR_SC of the extended study (arXiv 2509.18807), without it SiBraR_S.
    """

    single_branch = True
