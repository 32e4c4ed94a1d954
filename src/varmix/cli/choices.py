"""Values that options of the command line may have."""

from __future__ import annotations

from enum import StrEnum


class Method(StrEnum):
    """How to fit. `reml` and `ml` are Newton with that criterion."""

    reml = "reml"
    ml = "ml"
    newton = "newton"
    em = "em"
    pxem = "pxem"
    mm = "mm"
    moments = "moments"


class CriterionChoice(StrEnum):
    """What is maximised."""

    reml = "reml"
    ml = "ml"


class ScalingChoice(StrEnum):
    """How the columns of genotypes are scaled."""

    sample = "sample"
    allele_frequency = "allele_frequency"
    none = "none"


class ReferenceChoice(StrEnum):
    """Whose means and scales standardise the genotypes."""

    used = "used"
    all = "all"


class NegativeEigenvaluesChoice(StrEnum):
    """What becomes of negative eigenvalues of a kernel."""

    keep = "keep"
    clip = "clip"


class TracesChoice(StrEnum):
    """How moments find their traces."""

    exact = "exact"
    randomised = "randomised"


class ErrorsChoice(StrEnum):
    """Standard errors of moments."""

    sandwich = "sandwich"
    approximate = "approximate"
    jackknife = "jackknife"


class Acceleration(StrEnum):
    """How steps of EM, PX-EM and MM are extrapolated."""

    none = "none"
    squarem = "squarem"
    anderson = "anderson"
