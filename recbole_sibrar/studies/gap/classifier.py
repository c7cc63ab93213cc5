"""A linear classifier of embeddings by modality ([B])."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
"""Parts of the items; a classifier trained on the others predicts each part."""


def predict_modalities(
    embeddings: NDArray[Any], available: NDArray[Any], seed: int
) -> NDArray[Any] | None:
    """Predict the modality of each embedding by logistic regression, trained on other items.

    All modalities of an item are in the same fold: if they are equal, a classifier trained on some
    of them would be worse than chance. All modalities have the same weight, whatever their number
    of items.

    Args:
        embeddings: float ``[n_items, n_modalities, k]``.
        available: bool ``[n_items, n_modalities]``.
        seed: Seed of the folds.

    Returns:
        bool ``[n_items, n_modalities]``: True for a correct prediction, False for a wrong one and
        without a cell. None if there are too few items or modalities for a cross-validation.
    """
    items, modality = np.nonzero(available)
    distinct = np.unique(items)
    if len(distinct) < 2 * FOLDS or len(np.unique(modality)) < 2:
        return None

    everything = np.arange(len(items))
    folds = []
    for _, part in KFold(FOLDS, shuffle=True, random_state=seed).split(distinct):
        # All cells of an item are in one part: a classifier could recognise the item instead.
        test = np.flatnonzero(np.isin(items, distinct[part]))
        train = np.setdiff1d(everything, test, assume_unique=True)
        if len(np.unique(modality[train])) < 2:
            return None
        folds.append((train, test))

    model = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced")
    )
    with warnings.catch_warnings():
        # The last digits of its weights change no prediction.
        warnings.simplefilter("ignore", ConvergenceWarning)
        predicted = cross_val_predict(model, embeddings[items, modality], modality, cv=folds)

    correct = np.zeros(available.shape, dtype=bool)
    correct[items, modality] = predicted == modality
    return correct
