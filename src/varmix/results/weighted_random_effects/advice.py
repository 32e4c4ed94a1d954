"""What a status means here, where the general advice says too little."""

from __future__ import annotations

from varmix.iteration import Status

ADVICE = {
    Status.ON_BOUNDARY: (
        "The certificate is met and at least one variance is exactly 0: use profile intervals and the "
        "chi-bar-square test for it, not its standard error."
    ),
    Status.CONFOUNDED: (
        "The certificate is met, but some slopes add the same to the covariance of every group: their variances are "
        "arbitrary, what they add up to is not. Drop or merge columns."
    ),
    Status.UNBOUNDED: (
        "The likelihood has no maximum: it grows without bound as the residual variance goes to 0, because slopes and "
        "covariates explain some rows exactly. Pass a known residual=, or leave columns out."
    ),
}


def advice_on(status: Status) -> str:
    """What the status means here and what to do next."""
    return ADVICE.get(status, status.advice)
