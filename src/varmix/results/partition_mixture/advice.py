"""What a status means for partitions, where the general advice says too little."""

from __future__ import annotations

from varmix.iteration import Status

ADVICE = {
    Status.ON_BOUNDARY: (
        "The certificate is met and a variance, a share or a proportion is exactly 0, or a term of the noise at its "
        "largest: use profile or bootstrap intervals for it, not its standard error."
    ),
    Status.CONFOUNDED: (
        "The certificate is met, but the data do not tell all parameters apart: partitions that look alike in these "
        "sample types, cell and measurement noise where all samples are as mixed, or proportions that are free. "
        "Posteriors of genes use one of the points that fit as well."
    ),
    Status.STEP_LIMIT: (
        "The step limit was reached short of the optimum: raise max_iterations; with method='em', 'pxem' or 'mm' leave "
        "polish=True, or leave method out."
    ),
    Status.STALLED: (
        "No step raises the likelihood any more although the certificate is not met: the fit stands on a ridge or a "
        "saddle. Use further starts (starts=20), a prior on free proportions (Dirichlet(1.05)), or fewer noise terms."
    ),
}


def advice_on(status: Status) -> str:
    """What the status means here and what to do next."""
    return ADVICE.get(status, status.advice)
