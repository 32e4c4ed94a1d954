"""Why a fit ended. The text of each member is advice, not a code."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """How a fit ended, with what to do about it."""

    CONVERGED = "The certificate is met: this is the optimum, inside the parameter space."
    ON_BOUNDARY = (
        "The certificate is met and at least one variance is exactly 0: use profile intervals and the "
        "chi-bar-square test for it, not its standard error."
    )
    CLOSED_FORM = "The estimate solves its equations exactly; nothing was iterated."
    OUTSIDE_CONE = (
        "The moment equations are solved exactly and an estimate is negative: read it as 'no evidence of this "
        "component', use fit.projected for the nearest admissible point, or fit by method='newton'."
    )
    STEP_LIMIT = "The step limit was reached short of the optimum: raise max_iterations, or use method='newton'."
    SUBLINEAR = (
        "The steps shrink too slowly to arrive (a variance is heading to 0, or components are nearly confounded): "
        "leave polish=True, or use method='newton'."
    )
    STALLED = (
        "No step raises the log-likelihood any more although the certificate is not met: rounding limits this "
        "problem, or components are confounded; compare fit.certificate with the precision you need."
    )
    UNDEFINED = (
        "The model is undefined at the start: V is not positive definite there. Start from a positive residual "
        "variance."
    )
    UNBOUNDED = (
        "The likelihood has no maximum: with ML and a kernel that vanishes in the direction of a covariate (as many "
        "centred columns as rows) it grows without bound as the residual variance goes to 0. Use criterion='reml'."
    )

    @property
    def advice(self) -> str:
        """What the status means and what to do next."""
        return self.value

    @property
    def arrived(self) -> bool:
        """Whether the estimate is what was asked for: an optimum with its certificate, or an exact solution."""
        return self in (Status.CONVERGED, Status.ON_BOUNDARY, Status.CLOSED_FORM, Status.OUTSIDE_CONE)
