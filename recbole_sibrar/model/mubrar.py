"""MuBraR: a branch for each modality."""

from __future__ import annotations

from recbole_sibrar.model.multimodal import MultimodalRecommender


class MuBraR(MultimodalRecommender):
    r"""Multi-branch recommender ([B]: Ganhör et al., ACM TORS 2025, arXiv 2509.18807).

    It is SiBraR without weight sharing.

    Each modality :math:`m` of an entity has a branch :math:`g_m` of its own ([B] section 3):

    .. math:: e_x = \mathrm{mean}_m\; g_m(p_m(v_m)), \qquad y(u, i) = \langle e_u, e_i \rangle

    Everything else is that of :class:`~recbole_sibrar.model.sibrar.SiBraR`, the code included, so
    that a comparison of the two isolates weight sharing. With ``branch_budget: per_modality`` each
    branch has the configured sizes; with ``total`` all branches of a side together have as many
    parameters as SiBraR's one. With modality sampling and contrastive loss this is MuBraR_SC of the
    paper, with sampling alone MuBraR_S, with neither MuBraR.

    Example:
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = MuBraR(data.config("MuBraR", modality_sampling=False, contrastive="none"), data)
        >>> len(model.item_encoder.branches)
        2
        >>> model.calculate_loss(data.batch()).ndim
        0
    """

    single_branch = False
