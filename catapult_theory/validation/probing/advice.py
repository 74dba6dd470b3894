"""One line of advice from a probe, from what was measured alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catapult_theory.validation.probing.result import ProbeResult

# Starts scatter, and an edge is a bracket: stay below the lowest by this factor.
MARGIN = 1.25


def advice_of(result: ProbeResult) -> str:
    """Return which learning rate to take, in the units of the loss as it is.

    Parameters
    ----------
    result : ProbeResult

    Returns
    -------
    str
    """
    goal = f"{result.score} {result.wanted:g} in {result.steps} steps"
    done = [s for s in result.starts if s.divergence is not None]
    if not done:
        return "nothing was finished: repeat the call"
    trained = [s for s in done if s.useful is not None and s.useful.low > 0]
    if len(trained) < len(done):
        return (
            f"{len(done) - len(trained)} of {len(done)} starts reached no {goal} at any learning "
            "rate tried: give more steps, or ask for less"
        )
    starts = [(s, s.useful) for s in trained if s.useful is not None]
    top = min(edge.low / s.curvature0 for s, edge in starts)
    onsets = [s.onset.high / s.curvature0 for s in trained if s.onset is not None and s.onset.found]
    rate = top / MARGIN
    censored = any(not edge.found for _, edge in starts)
    limit = "no end was found up to" if censored else "the lowest end of that range is"
    said = f"at most eta = {rate:.3g} reaches {goal} from every start ({limit} eta = {top:.3g})"
    if onsets and rate > max(onsets):
        return f"{said}; above eta = {max(onsets):.3g} the loss first rises, a catapult"
    return f"{said}; the loss falls from the first step"
