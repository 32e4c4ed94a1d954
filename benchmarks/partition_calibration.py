"""Are probabilities frequencies: posteriors of partitions at fitted parameters held against what was drawn.

    python benchmarks/partition_calibration.py [--quick] [--out FOLDER]

Draws genes of the model with shared, growing and moderated noise, fits each set of 1,000 genes, and pools over sets:
reliability of probabilities of partitions and of two cell types together, lists at a q-value of 5 %, and intervals of
expression; beside them the same of the product of samples [PART-6]. Writes the figures and a plot of reliability.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

import varmix as vm
from varmix.errors import VarmixWarning
from varmix.models.partition.drawing import draw_genes
from varmix.models.partition.heteroscedastic_params import HeteroscedasticParams
from varmix.models.partition.noise import Noise
from varmix.models.partition.params import PartitionParams
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.trend import Trend

CELLS = ["liver", "brain", "lung"]
PARTITIONS = all_partitions(CELLS)
PROPORTIONS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1], [0.2, 0.3, 0.5]])
TYPES = np.repeat(np.arange(5), 4)
SHARES = np.array([0.35, 0.2, 0.15, 0.15, 0.15])
BINS = 10

PLAIN = PartitionParams(mean=5.0, between=1.0, cell=0.16, measurement=0.04, shares=SHARES, proportions=PROPORTIONS)
GROWING = HeteroscedasticParams(
    mean=9.0,
    between=6.0,
    noise=Noise(
        measurement=0.1, proportional=0.3, exponent=1.8, misfit_proportional=0.1, scatter_proportional=(0.05 * 9.0) ** 2
    ),  # scatter of the default margin
    trend=Trend(reference=9.0),
    shares=SHARES,
    proportions=PROPORTIONS,
)
MODERATED = replace(
    GROWING, mean=5.0, between=1.0, noise=Noise(cell=0.16, measurement=0.04), trend=Trend(reference=5.0), spread=0.4
)


@dataclass(frozen=True)
class Model:
    """What is drawn, and how it is fitted."""

    words: str
    params: PartitionParams | HeteroscedasticParams
    options: dict[str, Any]


MODELS = {
    "shared": Model("one noise", PLAIN, {"noise": "both"}),
    "full": Model("noise that grows", GROWING, {"noise": "full"}),
    "moderated": Model("scales of genes", MODERATED, {"noise": "both", "variance": "moderated"}),
    "composite": Model("product of samples", PLAIN, {"likelihood": "composite"}),
}

Table = dict[str, Any]


def study(model: Model, sets: int, genes: int) -> Table:
    """Pooled over sets."""
    parts = [one_set(model, [71, seed], genes) for seed in range(sets)]
    told = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    called = told["q"] <= 0.05
    away = np.abs(told["truth"] - told["means"])
    return {
        "genes": int(sets * genes),
        "partition_recovered": float(told["right"].mean()),
        "log_probability_of_truth": float(np.log(np.maximum(told["of_truth"], 1e-300)).mean()),
        "partitions": reliability(told["partitions"], told["drawn"]),
        "together": reliability(told["together"], told["pairs"]),
        "list_at_5_percent": {
            "genes": int(called.sum()),
            "expected_false": float(told["lfdr"][called].mean()) if called.any() else None,
            "realised_false": float(told["drawn"][called, 0].mean()) if called.any() else None,
        },
        "expression_within_1.96_sd": float((away <= 1.96 * told["sds"]).mean()),
    }


def one_set(model: Model, seed: list[int], genes: int) -> dict[str, np.ndarray]:
    """A fit, and what is true."""
    drawn = draw_genes(model.params, PARTITIONS, TYPES, genes, np.random.default_rng(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VarmixWarning)
        fit = vm.partition_mixture(drawn.values, TYPES, proportions=PROPORTIONS, cell_types=CELLS, **model.options)
    if not fit.status.arrived:
        raise SystemExit(f"A fit of set {seed} ended with {fit.status.name}.")
    classes, expression = fit.classes, fit.table("expression")
    probabilities = classes[list(PARTITIONS.words)].to_numpy()
    return {
        "partitions": probabilities,
        "drawn": np.eye(len(PARTITIONS))[drawn.partition],
        "of_truth": probabilities[np.arange(genes), drawn.partition],
        "right": probabilities.argmax(axis=1) == drawn.partition,
        "together": fit.table("together").iloc[:, 1:].to_numpy(),
        "pairs": np.array([PARTITIONS.together[j][np.triu_indices(3, 1)] for j in drawn.partition]),
        "lfdr": classes["lfdr"].to_numpy(),
        "q": classes["q_value"].to_numpy(),
        "means": expression[CELLS].to_numpy(),
        "sds": expression[[f"sd({name})" for name in CELLS]].to_numpy(),
        "truth": drawn.means,
    }


def reliability(probability: np.ndarray, happened: np.ndarray) -> list[dict[str, float]]:
    """By bins of equal width: how many, mean probability, frequency, and its standard error by chance alone."""
    p, x = probability.ravel(), happened.ravel()
    number = np.minimum((p * BINS).astype(int), BINS - 1)
    rows = []
    for k in range(BINS):
        at = number == k
        if at.any():
            error = float(np.sqrt((p[at] * (1.0 - p[at])).sum()) / at.sum())
            rows.append(
                {
                    "pairs": int(at.sum()),
                    "probability": float(p[at].mean()),
                    "frequency": float(x[at].mean()),
                    "error": error,
                }
            )
    return rows


def gap(rows: list[dict[str, float]]) -> float:
    """Mean absolute distance of frequency from probability, bins weighted by their pairs."""
    weights = np.array([row["pairs"] for row in rows])
    gaps = np.array([abs(row["frequency"] - row["probability"]) for row in rows])
    return float((weights * gaps).sum() / weights.sum())


def draw_figure(found: Table, path: Path) -> None:
    """Frequency against probability, with bands of two standard errors."""
    figure = Figure(figsize=(3.0 * len(found), 3.2), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True)
    for axis, (name, table) in zip(axes, found.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for kind, marker, colour in (("partitions", "o", "#1f5fa8"), ("together", "s", "#c0651a")):
            rows = table[kind]
            axis.errorbar(
                [row["probability"] for row in rows],
                [row["frequency"] for row in rows],
                yerr=[2.0 * row["error"] for row in rows],
                fmt=marker,
                color=colour,
                markersize=4,
                linewidth=1,
                label={"partitions": "partition", "together": "two types together"}[kind],
            )
        axis.set(title=MODELS[name].words, xlabel="probability", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes[0].set_ylabel("frequency")
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 sets of 300 genes instead of 10 of 1,000")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    asked = parser.parse_args()
    sets, genes = (2, 300) if asked.quick else (10, 1_000)
    with threadpool_limits(limits=1):
        found = {name: study(model, sets, genes) for name, model in MODELS.items()}
    for name, table in found.items():
        lists = table["list_at_5_percent"]
        print(
            f"{MODELS[name].words:20s} recovered {table['partition_recovered']:.3f}, log probability of the truth "
            f"{table['log_probability_of_truth']:.2f}, gap of partitions {gap(table['partitions']):.4f}, of pairs "
            f"{gap(table['together']):.4f}, list at 5 %: {lists['genes']} genes, expected {lists['expected_false']}, "
            f"realised {lists['realised_false']}, expression covered {table['expression_within_1.96_sd']:.3f}"
        )
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "partition_calibration.json").write_text(json.dumps(found, indent=1) + "\n")
    draw_figure(found, asked.out / "partition_calibration.png")


if __name__ == "__main__":
    main()
