"""Kernels with negative eigenvalues, as relationship matrices have them whose calls are missing pair by pair: kept or
clipped, and told either way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from varmix.api.inputs import Inputs
from varmix.errors import OptionError
from varmix.linalg.indefinite import NegativeEigenvalues, clip_negative_into
from varmix.models.linear.statistics import Criterion

NegativeChoice = Literal["keep", "clip"]
"""What becomes of negative eigenvalues: "keep", as GCTA does, or "clip", at 0."""


def clipped(inputs: Inputs, choice: NegativeChoice) -> list[NegativeEigenvalues]:
    """With "clip" the kernels' negative eigenvalues are put to 0 in place, on the rows used; what they were.

    Raises OptionError, and KernelError for a kernel with too many or too low ones.
    """
    if choice not in get_args(NegativeChoice):
        raise OptionError(f"negative_eigenvalues={choice!r} is not known. Use 'keep' or 'clip'.")
    if choice == "keep":
        return []
    names = [term.name for term in inputs.terms if term.kind == "kernel"]
    found = [clip_negative_into(kernel, name) for name, kernel in zip(names, inputs.kernels, strict=True)]
    return [item for item in found if item is not None]


def worst(found: Iterable[NegativeEigenvalues]) -> list[NegativeEigenvalues]:
    """Of each kernel the record with the lowest share."""
    lowest: dict[str, NegativeEigenvalues] = {}
    for item in found:
        if item.name not in lowest or item.share < lowest[item.name].share:
            lowest[item.name] = item
    return list(lowest.values())


def told(found: NegativeEigenvalues, choice: NegativeChoice, criterion: Criterion = "reml") -> str:
    """What a kernel had and what was done; ML sees it with the covariates in it, REML without."""
    if choice == "clip":
        return f"Kernel '{found.name}' had {found}: negative ones were set to 0."
    return (
        f"Kernel '{found.name}' has {found}{', the covariates taken out' if criterion == 'reml' else ''}, as calls "
        "that are missing pair by pair leave them. It was used as it is, and variances are sought where V is positive "
        "definite: negative_eigenvalues='clip' sets the negative ones to 0."
    )


def as_facts(found: Iterable[NegativeEigenvalues], choice: NegativeChoice) -> list[dict[str, Any]]:
    """JSON values."""
    return [
        {"kernel": item.name, "count": item.count, "lowest": item.lowest, "largest": item.largest, "treatment": choice}
        for item in found
    ]


def with_notes(notes: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """Both, with the warnings of `further` before those of `notes`."""
    joined = {**notes, **further}
    if "warnings" in further:
        joined["warnings"] = [*further["warnings"], *notes.get("warnings", [])]
    return joined


def kernel_notes(
    repaired: Sequence[NegativeEigenvalues], kept: Sequence[NegativeEigenvalues], criterion: Criterion = "reml"
) -> dict[str, Any]:
    """Facts and warnings about negative eigenvalues, nothing where there are none."""
    if not repaired and not kept:
        return {}
    texts = [*(told(found, "clip") for found in repaired), *(told(found, "keep", criterion) for found in kept)]
    return {"negative_eigenvalues": [*as_facts(repaired, "clip"), *as_facts(kept, "keep")], "warnings": texts}
