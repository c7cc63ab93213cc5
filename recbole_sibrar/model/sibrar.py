"""SiBraR: one branch for all modalities."""

from __future__ import annotations

from recbole_sibrar.model.multimodal import MultimodalRecommender


class SiBraR(MultimodalRecommender):
    r"""Single-branch recommender ([A]: Ganhör et al., RecSys 2024, doi 10.1145/3640457.3688138).

    Each modality :math:`m` of an entity :math:`x` has a value :math:`v_m`. A projection :math:`p_m`
    brings the value to a common size, and ONE branch :math:`g` embeds it ([A] section 3):

    .. math:: e_x = \mathrm{mean}_m\; g(p_m(v_m)), \qquad y(u, i) = \langle e_u, e_i \rangle

    Training draws modalities at random (modality sampling) and pulls two modalities of an entity
    together with a symmetric InfoNCE loss ([A] equation 3). Any subset of the modalities then gives
    a usable embedding: the model recommends when modalities are missing, and a new item is merely
    one without ``interactions``. With contrastive loss this is SiBraR_SC of the extended study
    ([B]: arXiv 2509.18807), without it SiBraR_S.

    Example:
        >>> import torch
        >>> from recbole_sibrar.model.example import ExampleData
        >>> data = ExampleData()
        >>> model = SiBraR(data.config("SiBraR", user_modalities=["id"]), data)
        >>> model.item_encoder.modalities, len(model.item_encoder.branches)
        (('interactions', 'text'), 1)
        >>> recommendation, contrastive = model.calculate_loss(data.batch())
        >>> cold_item = torch.tensor([8])
        >>> model.eval().encode_items(cold_item).shape
        torch.Size([1, 8])
    """

    single_branch = True
