"""What a changed input costs: the list that it makes against the list that the old one would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tasks.monitoring.inputs import take_back
from tasks.monitoring.money import Floats, Money
from tasks.quality import InputProfile

# What a customer is worth stands beside the inputs: a wrong amount makes a wrong list too.
VALUE = "value_amount"
Predict = Callable[[Floats], Floats]


class Pricing:
    """Tonight's customers, scored with inputs as they are and with some taken back.

    `features` (n, p) in the order of `names`, `value_amount` (n,); `predict` takes a matrix like
    `features`. Amounts are those of the whole list, of which `share` of the customers are here.
    """

    def __init__(
        self,
        features: Floats,
        names: Sequence[str],
        value_amount: Floats,
        predict: Predict,
        money: Money,
        share: float,
    ) -> None:
        self._features, self._value = features, value_amount
        self._place = {name: number for number, name in enumerate(names)}
        self._predict, self._money, self._share = predict, money, share
        self.probability = predict(features)
        self._listed = money.choose(money.returns(self.probability, value_amount))

    @property
    def expected_profit(self) -> float:
        """Of tonight's list, by tonight's scores."""
        returns = self._money.returns(self.probability[self._listed], self._value[self._listed])
        return float(returns.sum()) / self._share

    def price(self, profiles: Sequence[InputProfile]) -> float:
        """Expected profit lost if these inputs should be as they were in the training.

        By the scores with these taken back, the list that those would make less tonight's: what
        is given away by acting on the changed ones. Never negative.
        """
        features, value = self._features.copy(), self._value
        moved = False
        for one in profiles:
            missing = float(np.mean(one.missing_shares)) if one.missing_shares else 0.0
            grid = np.asarray(one.grid)
            if one.name == VALUE:
                value, moved = take_back(self._value, grid, missing), True
            elif one.name in self._place:
                column = self._features[:, self._place[one.name]]
                features[:, self._place[one.name]] = take_back(column, grid, missing)
                moved = True
        if not moved:
            return 0.0
        returns = self._money.returns(self._predict(features), value)
        best = self._money.choose(returns)
        lost = float(returns[best].sum() - returns[self._listed].sum())
        return max(0.0, lost) / self._share
