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
    if not result.targets_vary:
        return (
            f"the targets are constant, so that there is no {result.score} to reach and no rate "
            "to prefer: onset and divergence are measured; give targets that differ for advice"
        )
    if len(trained) < len(done):
        return (
            f"{len(done) - len(trained)} of {len(done)} starts reached no {goal} at any learning "
            "rate tried: give more steps, or ask for less"
        )
    ends = [(s.useful, s.curvature0) for s in trained if s.useful is not None]
    first = max(min(run.eta for run in s.runs if run.useful) for s in trained)
    top = min(edge.low / curvature for edge, curvature in ends)
    if first > top:
        return (
            f"no learning rate reached {goal} from every start: one needs eta = {first:.3g}, "
            f"another ends at {top:.3g}; give more steps"
        )
    rate = max(first, top / MARGIN)
    closed = all(edge.found for edge, _ in ends)
    limit = f"the range from {first:.3g} to {top:.3g} " + ("that does" if closed else "or more")
    onsets = [s.onset.high / s.curvature0 for s in trained if s.onset is not None and s.onset.found]
    above = bool(onsets) and rate > max(onsets)
    where = "above the measured onset" if above else "below the measured onset"
    return f"eta = {rate:.3g}, {where}, reaches {goal} from every start, of {limit}"
