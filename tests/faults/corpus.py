"""The faults of input and of on-call, each as a delivery or an injection and what must come of it.

`number` is the row of the list of faults; a row stands here once a way in which it happens. What
holds for all of them is asserted in `test_corpus.py`.
"""

from __future__ import annotations

from tests.faults.corpus_content import CONTENT
from tests.faults.corpus_delivery import DELIVERY
from tests.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (*CONTENT, *DELIVERY)
