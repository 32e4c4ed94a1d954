"""Newton's steps where a share is far too small."""

from __future__ import annotations

import numpy as np

from varmix.models.partition.climb import Climb
from varmix.models.partition.model import PartitionMixture
from varmix.models.partition.partitions import all_partitions
from varmix.models.partition.starting import moment_start


def test_a_share_that_a_few_genes_need_does_not_double_from_nothing():
    """Four cell types told apart so well that a gene's densities differ by e^50: doubling takes seventy steps."""
    rng = np.random.default_rng(1)
    partitions = all_partitions(("liver", "brain", "lung", "heart"))
    proportions = rng.dirichlet(np.ones(4), 100)
    labels = np.array(partitions.labels)[rng.choice(15, 2000, p=rng.dirichlet(np.ones(15)))]
    means = np.take_along_axis(5.0 + rng.standard_normal((2000, 4)), labels, axis=1)
    noise = 0.4 * np.sqrt((proportions**2).sum(axis=1))
    values = means @ proportions.T + noise * rng.standard_normal((2000, 100))
    model = PartitionMixture.of(values, np.arange(100), partitions, proportions)
    outcome = Climb().run(model, moment_start(model))
    assert outcome.status.arrived
    assert outcome.progress.last.evaluations <= 30
