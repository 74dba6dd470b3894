"""What measured medians say of a criterion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from catapult_theory.validation.evidence.medians import Median
from catapult_theory.validation.evidence.rows import Criterion

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
REPORT, MISSING, CENSORED = "report only", "not measured", "censored"
VERDICTS = (HOLDS, FAILS, UNDECIDED, CENSORED, REPORT, MISSING)


def verdict(criterion: Criterion, medians: Sequence[Median], complete: bool) -> str:
    """Return holds, fails, undecided, censored, report only, or not measured.

    An interval holds where it contains the whole interval of the median, fails where the two are
    disjoint, and is undecided in between. Medians are non-increasing in width where none lies
    above the one before, and fail to be where an interval lies wholly above the one before.
    Censored: the answer hangs on starts in which no edge was found.

    Parameters
    ----------
    criterion : Criterion
    medians : sequence of Median
        One for each width, the narrowest first.
    complete : bool
        Whether all starts at all widths were measured.

    Returns
    -------
    str

    Examples
    --------
    >>> wanted = Criterion("interval", 4.0, 5.5)
    >>> found = Median(4.4, 4.1, 4.9, 0.9375, 5)
    >>> verdict(wanted, [found], True), verdict(wanted, [found], False)
    ('holds', 'not measured')
    >>> verdict(Criterion("interval", 2.9, 3.1), [found], True)
    'fails'
    """
    if not complete:
        return MISSING
    if not criterion.asserts:
        return REPORT
    if criterion.kind == "interval":
        return _within(criterion, medians[0])
    return _non_increasing(medians)


def _within(criterion: Criterion, found: Median) -> str:
    if found.low > criterion.high or found.high < criterion.low:
        return FAILS
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return CENSORED
    return HOLDS if criterion.low <= found.low and found.high <= criterion.high else UNDECIDED


def _non_increasing(medians: Sequence[Median]) -> str:
    pairs = list(pairwise(medians))
    if any(wider.low > narrower.high for narrower, wider in pairs):
        return FAILS
    if not all(math.isfinite(m.value) for m in medians):
        return CENSORED
    return HOLDS if all(w.value <= n.value for n, w in pairs) else UNDECIDED
