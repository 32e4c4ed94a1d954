"""What a status means for mixtures, where the general advice says too little."""

from __future__ import annotations

from varmix.iteration import Status

ADVICE = {
    Status.ON_BOUNDARY: (
        "The certificate is met and a class variance or a share is exactly 0: use profile intervals for it, not "
        "its standard error. A class of variance 0 is a null class; a class without a share is one too many."
    ),
    Status.CONFOUNDED: (
        "The certificate is met, but the data do not tell all classes apart (a class is written twice, or its share "
        "and its variance trade against each other without loss): fewer classes fit as well."
    ),
    Status.STALLED: (
        "No step raises the log-likelihood any more although the certificate is not met: the fit stands on a saddle, "
        "or the likelihood is unbounded there (responses that are exactly 0). Use further starts (starts=20)."
    ),
}


def advice_on(status: Status) -> str:
    """What the status means here and what to do next."""
    return ADVICE.get(status, status.advice)
