"""What predictions of a saved fit need: the coding of covariates, effects, and the training centring and scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError, ShapeError
from varmix.formula.encode import Encoder
from varmix.genotype.design import StandardisedDesign
from varmix.genotype.source import RecordedSource
from varmix.results.variance_components.prediction import Prediction
from varmix.typing import Matrix, Vector


def state_of(prediction: Prediction) -> dict[str, Any]:
    """The state, as JSON values, arrays and data frames."""
    model, encoder = prediction.model, prediction.model.design.encoder
    terms: dict[str, Any] = {}
    for component, term in enumerate(model.terms):
        if term.design is None:
            weight = prediction.estimates.admissible[component] / model.units.kernels[component]
            terms[term.name] = {"kind": "kernel", "weights": prediction.projected * (weight * model.units.response)}
        else:
            terms[term.name] = {"kind": "design", **_design_state(term.design)}
        terms[term.name]["effects"] = prediction.effects(component, sd=False)
    return {
        "coefficients": prediction.estimates.fixed.estimate * model.units.response,
        "columns": list(model.design.names),
        "coding": None
        if encoder.spec is not None
        else {"n_columns": encoder.n_columns, "adds_intercept": encoder.adds_intercept, "kept": encoder.kept},
        "fitted": model.design.y - prediction.residuals(),
        "terms": terms,
    }


def _design_state(design: StandardisedDesign) -> dict[str, Any]:
    flipped = None if design.flipped is None else design.flipped.astype(np.intp)
    return {
        "n_variants": design.source.n_variants,
        "variants": design.source.variants,
        "kept": design.kept,
        "shift": design.shift,
        "offset": design.offset,
        "scale": design.scale,
        "flipped": flipped,
        "scaling": design.scaling,
        "reference": design.reference,
        "block_size": design.block_size,
    }


def _design(name: str, state: Mapping[str, Any]) -> StandardisedDesign:
    flipped = state["flipped"]
    return StandardisedDesign(
        source=RecordedSource(name=name, n_variants=state["n_variants"], variants=state["variants"]),
        rows=None,
        kept=state["kept"],
        shift=state["shift"],
        offset=state["offset"],
        scale=state["scale"],
        flipped=None if flipped is None else flipped.astype(bool),
        scaling=state["scaling"],
        reference=state["reference"],
        counts={},
        block_size=state["block_size"],
        held=None,
    )


def effects_of(state: Mapping[str, Any], term: str) -> pd.DataFrame:
    """Posterior means of a term. Raises OptionError for a term that is not there."""
    terms = state.get("terms", {})
    if term not in terms:
        raise OptionError(f"There is no term '{term}'. The fit has: {', '.join(terms) or 'none'}.")
    table: pd.DataFrame = terms[term]["effects"]
    return table.copy()


def predict_saved(state: Mapping[str, Any], new: Any, options: dict[str, Any]) -> Vector:
    """As `Prediction.predict`, from the state alone."""
    if not state:
        raise NotAvailableError("This fit was saved without what predictions need.")
    designs, kernels = options.pop("designs", None), options.pop("kernels", None)
    rows = options.pop("rows", None)
    if options:
        raise OptionError(f"Unknown option '{next(iter(options))}'.")
    if new is None and designs is None and kernels is None:
        fitted: Vector = state["fitted"]
        return fitted.copy()
    _refuse_unknown(state, [*(designs or {}), *(kernels or {})])
    parts = []
    for name, term in state["terms"].items():
        given = (designs if term["kind"] == "design" else kernels) or {}
        if name not in given:
            raise OptionError(f"Prediction needs term '{name}': pass {term['kind']}s={{'{name}': ...}}.")
        if term["kind"] == "design":
            effects = term["effects"]["estimate"].to_numpy()
            parts.append(_design(name, term).apply(given[name]).multiply(effects))
        else:
            parts.append(_kernel_part(np.asarray(given[name], dtype=np.float64), term["weights"]))
    lengths = {len(part) for part in parts}
    if len(lengths) > 1:
        raise ShapeError(f"The new designs and kernels have different numbers of rows: {sorted(lengths)}.")
    count = lengths.pop() if lengths else rows
    encoded = _encoded(state, new, count)
    if count is not None and len(encoded) != count:
        raise ShapeError(f"The new covariates have {len(encoded)} rows, the new designs or kernels {count}.")
    return np.asarray(encoded @ state["coefficients"] + sum(parts))


def _refuse_unknown(state: Mapping[str, Any], names: list[str]) -> None:
    unknown = [name for name in names if name not in state["terms"]]
    if unknown:
        raise OptionError(f"The fit has no term '{unknown[0]}'. It has: {', '.join(state['terms'])}.")


def _kernel_part(cross: Matrix, weights: Vector) -> Vector:
    if cross.ndim != 2 or cross.shape[1] != len(weights):
        raise ShapeError(f"The kernel has shape {cross.shape}; it needs {len(weights)} columns, one per training row.")
    return np.asarray(cross @ weights)


def _encoded(state: Mapping[str, Any], new: Any, rows: int | None) -> Matrix:
    coding, columns = state["coding"], state["columns"]
    if coding is not None:
        return Encoder(spec=None, variables=(), **coding).encode(new, rows)
    if columns == ["(Intercept)"] and new is None and rows is not None:
        return np.ones((rows, 1))
    table = None if new is None else pd.DataFrame(new)
    wanted = [name for name in columns if name != "(Intercept)"]
    if table is None or any(name not in table for name in wanted):
        raise NotAvailableError(
            "This fit was made by a formula, and a saved fit keeps the coded columns rather than the formula's code: "
            f"pass a table with the columns {', '.join(wanted)}."
        )
    return np.column_stack(
        [np.ones(len(table)) if name == "(Intercept)" else table[name].to_numpy(dtype=float) for name in columns]
    )
