"""What a saved fit of a mixture still answers: effects are columns of its table `classes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pandas as pd

from varmix.errors import NotAvailableError, OptionError
from varmix.results.random_effect_mixture import rows


def of_classes(classes: pd.DataFrame, term: str, *, sd: bool) -> pd.DataFrame:
    """Posterior means of the effects, with `sd` their standard deviations; the label of each effect is first.

    Raises OptionError for a term that is not there.
    """
    if term not in ("x", "effect"):
        raise OptionError(f"There is no term '{term}': the effects are those of 'x'.")
    return classes[[*classes.columns[:1], "effect", *(["sd"] if sd else [])]].copy()


def effects_in(tables: Mapping[str, pd.DataFrame], term: str, *, sd: bool) -> pd.DataFrame:
    """As `fit.effects` gave them. Raises OptionError, and NotAvailableError where the file holds no rows."""
    if "classes" not in tables:
        raise NotAvailableError(
            f"This fit was saved without a table of its effects, as files of more than {rows.LONGEST:,} rows are. Fit "
            "again, and write fit.effects('x') to a file of its own."
        )
    return of_classes(tables["classes"], term, sd=sd)


def predict_saved(state: Mapping[str, Any], new: Any, options: dict[str, Any]) -> NoReturn:
    """Raises NotAvailableError: a mixture expects 0 of a new effect, whatever x."""
    raise NotAvailableError(
        "A mixture of random effects has no predictions: a new effect is expected to be 0. Fitted values of the rows "
        "of the fit are in fit.augment()."
    )
