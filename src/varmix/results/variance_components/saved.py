"""What predictions of a saved fit need: the coding of covariates, effects, and the training centring and scaling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.formula.encode import encode_saved
from varmix.genotype.design import StandardisedDesign
from varmix.genotype.source import RecordedSource
from varmix.results.variance_components.new_rows import RememberedTerm, predict_rows
from varmix.results.variance_components.prediction import Prediction
from varmix.tables.labels import Labels
from varmix.typing import Vector


def state_of(prediction: Prediction) -> dict[str, Any]:
    """The state, as JSON values, arrays and data frames."""
    model, encoder = prediction.model, prediction.model.design.encoder
    terms: dict[str, Any] = {}
    for term in prediction.remembered():
        held: dict[str, Any] = _design_state(term.design) if term.design is not None else {"weights": term.weights}
        if term.training is not None:
            held["training"] = _labels_state(term.training)
        terms[term.name] = {"kind": term.kind, **held, "effects": term.effects, "id_column": term.id_column}
    return {
        "coefficients": prediction.estimates.fixed.estimate * model.units.response,
        "columns": list(model.design.names),
        "coding": encoder.state(),
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


def _labels_state(labels: Labels) -> dict[str, Any]:
    return {
        "rows": labels.rows,
        "ids": labels.ids,
        "index": None if labels.index is None else labels.index.tolist(),
        "sliced": labels.sliced,
        "counted": labels.counted,
        "numbers": labels.numbers,
    }


def _labels(state: Mapping[str, Any] | None) -> Labels | None:
    """Labels of training rows; files of earlier versions have none."""
    if state is None:
        return None
    index = state["index"]
    return Labels(**{**state, "index": None if index is None else pd.Index(index, dtype=object)})


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
    terms = [
        RememberedTerm(
            name=name,
            design=_design(name, term) if term["kind"] == "design" else None,
            effects=term["effects"],
            weights=term.get("weights"),
            training=_labels(term.get("training")),
            id_column=term.get("id_column"),
        )
        for name, term in state["terms"].items()
    ]
    return predict_rows(
        terms,
        lambda table, count: np.asarray(
            encode_saved(state["columns"], state["coding"], table, count) @ state["coefficients"]
        ),
        new,
        designs=designs,
        kernels=kernels,
        rows=rows,
    )
