"""A linear classifier that tries to tell from an embedding which modality it was made of ([B])."""

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
"""Parts of the items, each of which is predicted by a classifier that was trained on the others."""


def predict_modalities(embeddings: NDArray[Any], available: NDArray[Any], seed: int) -> NDArray[Any] | None:
    """Predict the modality of each embedding by logistic regression, trained on other items.

    All modalities of an item are in the same fold: where they are equal, a classifier that knew some of them would be
    worse than chance. Modalities count alike however many items have them.

    Args:
        embeddings: float ``[n_items, n_modalities, k]``.
        available: bool ``[n_items, n_modalities]``.
        seed: Of the folds.

    Returns:
        bool ``[n_items, n_modalities]``: whether the modality of a cell was predicted rightly (False where there is
        no cell); None where there are too few items or modalities for a cross-validation.
    """
    items, modality = np.nonzero(available)
    distinct = np.unique(items)
    if len(distinct) < 2 * FOLDS or len(np.unique(modality)) < 2:
        return None
    parts = [distinct[test] for _, test in KFold(FOLDS, shuffle=True, random_state=seed).split(distinct)]
    tests = [np.flatnonzero(np.isin(items, part)) for part in parts]
    everything = np.arange(len(items))
    folds = [(np.setdiff1d(everything, test, assume_unique=True), test) for test in tests]
    if any(len(np.unique(modality[train])) < 2 for train, _ in folds):
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of its weights change no prediction
        predicted = cross_val_predict(model, embeddings[items, modality], modality, cv=folds)
    correct = np.zeros(available.shape, dtype=bool)
    correct[items, modality] = predicted == modality
    return correct
