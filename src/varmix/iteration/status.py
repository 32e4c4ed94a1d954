"""Why a fit ended. The text of each member is advice, not a code."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """How a fit ended, with what to do about it."""

    CONVERGED = "The certificate is met: this is the optimum, inside the parameter space."
    ON_BOUNDARY = (
        "The certificate is met and a parameter is exactly at an edge of its space: use profile intervals and tests "
        "made for the edge, not its standard error."
    )
    CONFOUNDED = (
        "The certificate is met, but the data cannot tell some parameters apart: other values of them are as good. "
        "Drop or merge them; what they add up to is estimated all the same."
    )
    CLOSED_FORM = "The estimate solves its equations exactly; nothing was iterated."
    OUTSIDE_CONE = (
        "The equations are solved exactly and the solution lies outside the parameter space: read it as no evidence of "
        "that parameter, or fit by method='newton', which stays inside."
    )
    STEP_LIMIT = "The step limit was reached short of the optimum: raise max_iterations, or use method='newton'."
    SUBLINEAR = (
        "The steps shrink too slowly to arrive (a parameter is heading to an edge, or parameters are nearly "
        "confounded): leave polish=True, or use method='newton'."
    )
    STALLED = (
        "No step raises the log-likelihood any more although the certificate is not met: rounding limits this "
        "problem, or parameters are confounded; compare fit.certificate with the precision you need."
    )
    UNDEFINED = (
        "The model is undefined at the start (its covariance is not positive definite there): start further inside."
    )
    UNBOUNDED = (
        "The likelihood has no maximum here: it grows without bound towards an edge of the parameter space. The point "
        "reached is no estimate."
    )

    @property
    def advice(self) -> str:
        """What the status means and what to do next."""
        return self.value

    @property
    def arrived(self) -> bool:
        """Whether the estimate is what was asked for: an optimum with its certificate, or an exact solution."""
        return self in (
            Status.CONVERGED,
            Status.ON_BOUNDARY,
            Status.CONFOUNDED,
            Status.CLOSED_FORM,
            Status.OUTSIDE_CONE,
        )
