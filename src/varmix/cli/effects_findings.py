"""Tables of a mixture of random effects as the command line tells and writes them."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from varmix.cli.effects_request import REPLICATES, EffectsOutput, IntervalKind
from varmix.errors import ConvergenceWarning, warn
from varmix.inference.wald import LEVEL
from varmix.results import Fit
from varmix.results.random_effect_mixture.number_of_classes import ClassSequence, sequence
from varmix.results.random_effect_mixture.report import RandomEffectMixtureReport


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectFindings:
    """A fit with its tables at one level, by one kind of interval.

    `shares` and `components` are those of the fit, `classes` its posterior with the ids of the rows in front, None of
    a stream, whose posterior is written piece by piece;
    `bootstrap` has a row per parameter and `classes_tests` one per number of classes, None where not asked for.
    `notes` are warnings that came up on the way.
    """

    fit: Fit
    level: float
    components: pd.DataFrame = field(repr=False)
    shares: pd.DataFrame | None = field(repr=False)
    classes: pd.DataFrame | None = field(repr=False)
    bootstrap: pd.DataFrame | None = field(repr=False)
    tests: ClassSequence | None = field(repr=False)
    notes: tuple[str, ...]

    @property
    def mixture(self) -> bool:
        """Whether there are classes, not a distribution on a grid."""
        return self.shares is not None


def find_effects(fit: Fit, output: EffectsOutput, names: pd.Series[str] | None, *, stream: bool) -> EffectFindings:
    """Derive the tables. Raises what `fit.bootstrap` and `sequence` raise."""
    report = fit.report
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        components, shares, draws, tests = fit.components, None, None, None
        if isinstance(report, RandomEffectMixtureReport):
            components, shares = _tables(fit, report, output)
            if output.draws is not None:
                draws = _bootstrap(fit, report, output)
                components, shares = _by_bootstrap(components, shares, draws)
            if output.most_classes is not None:
                tests = sequence(
                    report.model,
                    report.estimation.climb,
                    REPLICATES if output.replicates is None else output.replicates,
                    np.random.default_rng(output.seed),
                    most=output.most_classes,
                )
    told = [" ".join(str(item.message).split()) for item in caught if issubclass(item.category, ConvergenceWarning)]
    for item in caught:
        if not issubclass(item.category, ConvergenceWarning):
            warn(item.message)
    return EffectFindings(
        fit=fit,
        level=output.level,
        components=components,
        shares=shares,
        classes=None if stream else _named(fit.classes, names),
        bootstrap=draws,
        tests=tests,
        notes=tuple(dict.fromkeys(told)),
    )


def _tables(fit: Fit, report: RandomEffectMixtureReport, output: EffectsOutput) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Components and shares with profile or Wald intervals; the fit's own where nothing else was asked for."""
    kind = None if output.interval in (None, IntervalKind.bootstrap) else output.interval
    if kind is None or not fit.status.arrived:
        if output.level == LEVEL:
            return fit.components, fit.shares
        return report.components(output.level), report.shares(output.level)
    components, shares = fit.components, fit.shares
    for table, letter in ((components, "v"), (shares, "pi")):
        for at in table.index[table["interval"] != "known"]:
            name = "s" if letter == "v" and at == table.index[-1] else f"{letter}_{at + 1}"
            lower, upper = fit.interval(name, kind=kind.value, level=output.level)
            table.loc[at, ["lower", "upper", "interval"]] = [lower, upper, "none" if math.isnan(lower) else kind.value]
    return components, shares


def _bootstrap(fit: Fit, report: RandomEffectMixtureReport, output: EffectsOutput) -> pd.DataFrame:
    """One row per parameter: term, estimate, se, bias, lower, upper, draws."""
    result = fit.bootstrap(output.draws or 0, output.seed)
    lower, upper = result.interval(level=output.level)
    held = report.model.held
    errors, bias = result.standard_errors, np.nanmean(result.replicates, axis=0) - report.outward
    table = pd.DataFrame(
        {"term": result.names, "estimate": report.outward, "se": errors, "bias": bias, "lower": lower, "upper": upper}
    )
    table.loc[np.asarray(held), ["se", "bias", "lower", "upper"]] = math.nan
    return table.assign(draws=len(result.replicates) - result.failed)


def _by_bootstrap(
    components: pd.DataFrame, shares: pd.DataFrame, draws: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns = ["se", "lower", "upper"]
    filled = []
    for table, part in ((components, draws.iloc[: len(components)]), (shares, draws.iloc[len(components) :])):
        free = (table["interval"] != "known").to_numpy()
        new = table.copy()
        new.loc[free, columns] = part[columns].to_numpy()[free]
        new.loc[free, "interval"] = "bootstrap"
        filled.append(new)
    return filled[0], filled[1]


def _named(classes: pd.DataFrame, names: pd.Series[str] | None) -> pd.DataFrame:
    if names is None or "row" not in classes:
        return classes
    classes.insert(0, "id", names.to_numpy()[classes["row"].to_numpy()])
    return classes
