"""Fitted scikit-learn estimators: with slopes where the formula is known, else as black boxes."""

from saddlepoint.access.adapters.estimators.opening import from_estimator

__all__ = ["from_estimator"]
