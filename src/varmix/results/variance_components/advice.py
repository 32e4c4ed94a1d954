"""What a status means for variance components, where the general advice says too little."""

from __future__ import annotations

from varmix.iteration import Status

ADVICE = {
    Status.ON_BOUNDARY: (
        "The certificate is met and at least one variance is exactly 0: use profile intervals and the "
        "chi-bar-square test for it, not its standard error."
    ),
    Status.OUTSIDE_CONE: (
        "The moment equations are solved exactly and an estimate is negative: read it as 'no evidence of this "
        "component', use fit.projected for the nearest admissible point, or fit by method='newton'."
    ),
    Status.UNDEFINED: ("V is not positive definite at the start: start from a larger residual variance."),
    Status.UNBOUNDED: (
        "The likelihood has no maximum: it grows without bound as the residual variance goes to 0. Either the kernels "
        "explain the response exactly, or (ML) they vanish in the direction of a covariate, as many centred columns as "
        "rows do in the intercept's, or have a negative eigenvalue there: use criterion='reml' then."
    ),
}


def advice_on(status: Status) -> str:
    """What the status means here and what to do next."""
    return ADVICE.get(status, status.advice)
