"""How a series is carried on: two rules, exponential smoothing and ARIMA.

The models are those of statsmodels. statsforecast fits the same ones faster, but brings numba and
llvmlite: a compiler of more than a hundred megabytes, whose releases hold back NumPy's, for some
twenty short series that take statsmodels seconds.

Of each kind a few forms are tried and the one of the lowest information criterion is used. A fit
that does not converge, or a series that is a straight line and so leaves nothing to fit, gives no
method; nothing that statsmodels warns of beyond that is silenced.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# (values so far, periods ahead) -> forecasts, shape (periods ahead,).
Carry = Callable[[np.ndarray, int], np.ndarray]

# Fewer values leave the models nothing to learn from.
LEAST_VALUES = 10
# (p, d, q) that the criterion chooses from. The likelihood of each is that of all values given the
# first, so that forms with and without differencing can be compared.
_ORDERS = ((0, 1, 1), (1, 1, 0), (1, 1, 1), (1, 0, 0), (1, 0, 1))
_SMOOTHINGS: tuple[dict[str, Any], ...] = ({}, {"trend": "add", "damped_trend": True})


@dataclass(frozen=True, slots=True)
class Method:
    """A way to carry on, fitted and ready; `form` is what a refit takes."""

    name: str
    form: Any
    carry: Carry


def naive() -> Method:
    """Everything stays as it is."""
    return Method("naive", None, lambda values, ahead: np.repeat(values[-1], ahead))


def seasonal_naive(season: int) -> Method:
    """Everything is as it was a year before; for series of at least a year."""
    return Method(
        "seasonal_naive", season, lambda values, ahead: np.resize(values[-season:], ahead)
    )


def fit_smoothing(values: np.ndarray, season: int, form: Any = None) -> Method | None:
    """Exponential smoothing of the level, with damped trend or yearly season where AICc says so.

    `form` keeps to one form. None where nothing can be fitted. Values should be about 1 in size.
    """
    if not _can_be_fitted(values):
        return None
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    forms = list(_SMOOTHINGS) if form is None else [form]
    # Seasons of 52 weeks would be 52 parameters; a year ago as it was is the rule's business.
    if form is None and season <= 12 and len(values) >= 2 * season + LEAST_VALUES:
        forms.append({"seasonal": "add", "seasonal_periods": season})
    best: tuple[float, Any, Any] | None = None
    for one in forms:
        model = ETSModel(values, error="add", **one)
        fitted = _fit(model, disp=False)
        if fitted is None:
            continue
        criterion = _corrected_criterion(float(fitted.llf), len(fitted.params) + 1, len(values))
        if best is None or criterion < best[0]:
            best = (criterion, one, fitted.params)
    if best is None:
        return None
    _, chosen, params = best

    def carry(values: np.ndarray, ahead: int) -> np.ndarray:
        model = ETSModel(values, error="add", **chosen)
        return np.asarray(model.smooth(params).forecast(ahead), dtype=float)

    return Method("exponential_smoothing", chosen, carry)


def fit_arima(values: np.ndarray, _season: int, form: Any = None) -> Method | None:
    """ARIMA of a small grid, chosen by AICc. `form` keeps to one order.

    None where nothing can be fitted. Values should be about 1 in size.
    """
    if not _can_be_fitted(values):
        return None
    best: tuple[float, Any, Any] | None = None
    for order in _ORDERS if form is None else (form,):
        model = _make_arima(values, order)
        # Its own starting values may lie outside what is allowed, of which it then warns.
        start = np.full(len(model.param_names), 0.1)
        start[-1] = max(float(np.var(np.diff(values))), 1e-6)
        if not order[1]:
            start[0] = float(np.mean(values))
        fitted = _fit(model, start_params=start, cov_type="none")
        if fitted is None:
            continue
        criterion = _corrected_criterion(float(fitted.llf), len(start), len(values) - 1)
        if best is None or criterion < best[0]:
            best = (criterion, order, fitted.params)
    if best is None:
        return None
    _, chosen, params = best

    def carry(values: np.ndarray, ahead: int) -> np.ndarray:
        return np.asarray(
            _make_arima(values, chosen).filter(params, cov_type="none").forecast(ahead), dtype=float
        )

    return Method("arima", chosen, carry)


def _make_arima(values: np.ndarray, order: tuple[int, int, int]) -> Any:
    from statsmodels.tsa.arima.model import ARIMA

    model = ARIMA(values, order=order, trend="n" if order[1] else "c")
    model.loglikelihood_burn = 1
    return model


def _can_be_fitted(values: np.ndarray) -> bool:
    """Whether there is something to learn: enough values that are not one straight line."""
    return len(values) >= LEAST_VALUES and float(np.ptp(np.diff(values))) > 1e-9


def _fit(model: Any, **options: Any) -> Any:
    """The fitted model, None where it did not converge; any other warning goes on its way."""
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fitted = model.fit(**options)
        except np.linalg.LinAlgError:
            # A state that has no covariance any more: the series is, but for rounding, a line.
            return None
    converged = True
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            converged = False
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return fitted if converged and np.isfinite(fitted.llf) else None


def _corrected_criterion(likelihood: float, parameters: int, values: int) -> float:
    """AICc; infinite where there are not more values than parameters."""
    spare = values - parameters - 1
    if spare <= 0:
        return float("inf")
    return 2 * parameters - 2 * likelihood + 2 * parameters * (parameters + 1) / spare
