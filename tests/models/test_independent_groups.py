"""Independent groups against the dense definition: sum of a_g log N(y_g; W_g w, sum v_k x_gk x_gk' + s I)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from varmix.iteration import from_every_start
from varmix.models.independent_groups.blocks import Blocks
from varmix.models.independent_groups.climb import SCHEMES, Climb
from varmix.models.independent_groups.confounding import confounded
from varmix.models.independent_groups.model import IndependentGroups
from varmix.models.independent_groups.orthogonal import orthogonalise
from varmix.models.independent_groups.params import GroupParams
from varmix.models.independent_groups.posterior import posterior_slopes
from varmix.models.independent_groups.reduction import Rows
from varmix.models.independent_groups.rest import Rest
from varmix.models.independent_groups.scalars import Scalars
from varmix.models.independent_groups.scheme import Piece, summarise_groups
from varmix.models.independent_groups.starting import evaluate, good_starts, random_start

Array = np.ndarray

EXACT = 1e-10
"""Sums over about a hundred rows of condition below 1e4."""


@dataclass(frozen=True)
class Dense:
    """The definition, group by group; fixed effects by generalised least squares."""

    rows: Rows

    def groups(self) -> list[Array]:
        count = len(self.rows.y)
        codes = np.arange(count) if self.rows.group is None else self.rows.group
        return [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]

    def covariance(self, at: Array, values: Array) -> Array:
        X = self.rows.X[at]
        return np.asarray((X * values[:-1]) @ X.T + values[-1] * np.eye(len(at)))

    def kernels(self, at: Array) -> list[Array]:
        return [np.outer(column, column) for column in self.rows.X[at].T] + [np.eye(len(at))]

    def fixed(self, values: Array) -> Array:
        left, right = 0.0, 0.0
        for at in self.groups():
            weighted = self.rows.weight[at[0]] * np.linalg.solve(self.covariance(at, values), self.rows.W[at])
            left, right = left + weighted.T @ self.rows.W[at], right + weighted.T @ self.rows.y[at]
        return np.linalg.solve(left, right)

    def log_likelihood(self, values: Array) -> float:
        left = self.rows.y - self.rows.W @ self.fixed(values) if self.rows.W.shape[1] else self.rows.y
        return float(
            sum(
                self.rows.weight[at[0]] * multivariate_normal.logpdf(left[at], None, self.covariance(at, values))
                for at in self.groups()
            )
        )

    def forms(self, values: Array) -> tuple[Array, Array, Array]:
        """Quadratic forms, traces, and traces of pairs."""
        size = len(values)
        quad, trace, pairs = np.zeros(size), np.zeros(size), np.zeros((size, size))
        left = self.rows.y - self.rows.W @ self.fixed(values) if self.rows.W.shape[1] else self.rows.y
        for at in self.groups():
            inverse, weight = np.linalg.inv(self.covariance(at, values)), self.rows.weight[at[0]]
            products = [inverse @ kernel for kernel in self.kernels(at)]
            for k, product in enumerate(products):
                quad[k] += weight * left[at] @ product @ inverse @ left[at]
                trace[k] += weight * np.trace(product)
                pairs[k] += [weight * np.trace(product @ other) for other in products]
        return quad, trace, pairs


def design(kind: str, rng: np.random.Generator) -> tuple[Array, Array | None]:
    if kind == "rows, one column each":
        X = rng.standard_normal((60, 2))
        X[:30, 1] = X[30:, 0] = X[55:, 1] = 0.0
        return X, None
    if kind == "rows, columns meet":
        return rng.standard_normal((60, 3)), None
    group = np.unique(rng.integers(0, 18, 70), return_inverse=True)[1]
    X = rng.standard_normal((70, 2))
    if kind == "groups, columns do not meet":
        X[:35, 0] = X[35:, 1] = 0.0
    if kind == "groups, some collinear":
        X[group == 3] = X[group == 3][:, :1] * [1.0, -2.0]  # rank one, and in a second group nothing at all
        X[group == 4] = 0.0
        X[group == 5, 0] = 0.0
        X = np.column_stack([X, rng.standard_normal(70)])
    return X, group


KINDS = [
    "rows, one column each",
    "rows, columns meet",
    "groups",
    "groups, columns do not meet",
    "groups, some collinear",
]
FIXED = [0, 2]


def make(kind: str, fixed: int, seed: int = 1) -> IndependentGroups:
    rng = np.random.default_rng(seed)
    X, group = design(kind, rng)
    n, count = len(X), len(X) if group is None else int(group.max()) + 1
    codes = np.arange(n) if group is None else group
    W = np.column_stack([np.ones(n), rng.standard_normal(n)])[:, :fixed]
    slopes = rng.standard_normal((count, X.shape[1])) * np.sqrt([1.2, 0.4, 0.1][: X.shape[1]])
    y = W @ np.array([5.0, -1.0])[:fixed] + (X * slopes[codes]).sum(axis=1) + rng.standard_normal(n)
    weight = rng.uniform(0.3, 2.5, count)[codes]
    return model_of(Rows(y=y, X=X, W=W, weight=weight, group=group))


def model_of(rows: Rows) -> IndependentGroups:
    names = tuple(f"x{k}" for k in range(rows.X.shape[1]))
    fixed_names = tuple(f"z{k}" for k in range(rows.W.shape[1]))
    return IndependentGroups(rows=rows, names=names, fixed_names=fixed_names, response_name="y", residual=None)


def inward(model: IndependentGroups, values: Array) -> GroupParams:
    return GroupParams.free(values / model.reduced.outward)


def somewhere(model: IndependentGroups) -> Array:
    return np.append(np.array([0.7, 0.5, 0.2])[: len(model.names)], 1.3)


@pytest.fixture(params=[(kind, fixed) for kind in KINDS for fixed in FIXED], ids=lambda pair: f"{pair[0]}, {pair[1]}")
def model(request: pytest.FixtureRequest) -> IndependentGroups:
    return make(*request.param)


def fitted(model: IndependentGroups) -> Array:
    ends = from_every_start(model.climb, good_starts(model.reduced.pieces, model.known))
    return model.outward(ends.best.params.values)


def test_log_likelihood_is_that_of_the_dense_normal(model: IndependentGroups) -> None:
    dense = Dense(model.rows)
    for values in (somewhere(model), 10.0 * somewhere(model), somewhere(model) * [0.0] + 0.9):
        found = model.closed(inward(model, values))
        assert model.log_likelihood_outward(found.log_likelihood) == pytest.approx(
            dense.log_likelihood(values), rel=EXACT
        )
        if model.rows.W.shape[1]:
            np.testing.assert_allclose(model.reduced.fixed(found.fixed), dense.fixed(values), rtol=EXACT)


def test_score_and_information_are_the_derivatives_of_the_dense_log_likelihood(model: IndependentGroups) -> None:
    dense, values, factor = Dense(model.rows), somewhere(model), model.reduced.outward
    found, weight = model.closed(inward(model, values)), model.reduced.weight
    h = 1e-4  # truncation h^2 times a fourth derivative of order 100, rounding 1e-16 * 100 / h^2: both near 1e-6

    def at(*steps: Array) -> float:
        return dense.log_likelihood(values + sum(steps))

    basis = h * np.eye(len(values))
    score = np.array([(at(e) - at(-e)) / (2.0 * h) for e in basis])
    hessian = np.array(
        [[(at(e, f) - at(e, -f) - at(-e, f) + at(-e, -f)) / (4.0 * h * h) for e in basis] for f in basis]
    )
    np.testing.assert_allclose(weight * found.score / factor, score, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(-weight * found.observed / np.outer(factor, factor), hessian, rtol=1e-4, atol=1e-3)


def test_expected_information_is_half_the_traces_of_pairs(model: IndependentGroups) -> None:
    values, factor = somewhere(model), model.reduced.outward
    found = model.closed(inward(model, values)).expected * model.reduced.weight / np.outer(factor, factor)
    np.testing.assert_allclose(found, 0.5 * Dense(model.rows).forms(values)[2], rtol=EXACT)


@pytest.mark.parametrize("scheme", ["mm", "em"])
def test_updates_are_the_literal_ones(model: IndependentGroups, scheme: str) -> None:
    values = somewhere(model)
    quad, trace, _ = Dense(model.rows).forms(values)
    groups = Dense(model.rows).groups()
    effects = [sum(model.rows.weight[at[0]] for at in groups if column[at].any()) for column in model.rows.X.T]
    count = np.append(effects, model.rows.weight.sum())
    literal = values * np.sqrt(quad / trace) if scheme == "mm" else values + values**2 * (quad - trace) / count
    params = inward(model, values)
    found = SCHEMES[scheme]().update(params, evaluate(params, model.reduced.pieces))  # type: ignore[attr-defined]
    np.testing.assert_allclose(model.outward(found.values), literal, rtol=EXACT)


@pytest.mark.parametrize("scheme", ["em", "pxem", "mm"])
def test_a_monotone_scheme_never_lowers_the_likelihood_and_ends_where_newton_does(
    model: IndependentGroups, scheme: str
) -> None:
    start = random_start(model.reduced.pieces, None, np.random.default_rng(3))
    outcome = model.climb(start, Climb(scheme=scheme))  # a fall would be an AscentError
    path = np.array([step.objective for step in outcome.progress.steps])
    assert (np.diff(path) >= -1e-11 * np.abs(path[1:])).all()  # sums of a hundred logarithms round to this
    newton = model.climb(start)  # a likelihood may have several maxima: from the same start
    assert outcome.status.arrived
    assert newton.status.arrived
    # Certified ends are within 1e-8 standard errors of the optimum.
    np.testing.assert_allclose(outcome.params.values, newton.params.values, rtol=1e-7, atol=1e-8)


def test_every_scheme_leaves_the_optimum_where_it_is(model: IndependentGroups) -> None:
    best = model.climb(random_start(model.reduced.pieces, None, np.random.default_rng(3))).params
    for name, scheme in SCHEMES.items():
        again = scheme().update(best, evaluate(best, model.reduced.pieces))  # type: ignore[attr-defined]
        np.testing.assert_allclose(again.values, best.values, rtol=1e-7, atol=1e-9, err_msg=name)


def test_a_weight_of_two_is_the_same_group_twice() -> None:
    for kind in KINDS:
        once = make(kind, 2).rows
        groups = Dense(once).groups()
        count = np.array([1 + number % 3 for number in range(len(groups))], dtype=float)
        weight, take, group, new = np.empty(len(once.y)), [], [], 0
        for number, at in enumerate(groups):
            weight[at] = count[number]
            for _ in range(int(count[number])):
                take.append(at)
                group.append(np.full(len(at), new))
                new += 1
        at = np.concatenate(take)
        codes = None if once.group is None else np.concatenate(group)
        weighted = model_of(replace(once, weight=weight))
        copied = model_of(Rows(y=once.y[at], X=once.X[at], W=once.W[at], weight=np.ones(len(at)), group=codes))
        np.testing.assert_allclose(fitted(weighted), fitted(copied), rtol=1e-8, atol=1e-9)
        values = somewhere(weighted)
        ours, theirs = (
            each.log_likelihood_outward(each.closed(inward(each, values)).log_likelihood) for each in (weighted, copied)
        )
        assert ours == pytest.approx(theirs, rel=1e-12)


def cut(piece: Piece) -> list[Piece]:
    if isinstance(piece, Rest):
        return [piece]
    middle = len(piece) // 3
    return [piece.part(middle, len(piece)), piece.part(0, middle)]


def test_statistics_add_over_pieces_in_any_order(model: IndependentGroups) -> None:
    params, pieces = inward(model, somewhere(model)), model.reduced.pieces
    whole = evaluate(params, pieces)
    parts = evaluate(params, [part for piece in reversed(pieces) for part in cut(piece)])
    for name in ("rows", "log_determinant", "trace", "pairs", "quad", "curve", "total", "effects"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12, atol=1e-12, err_msg=name)


def test_groups_whose_columns_do_not_meet_are_scalars_and_say_what_blocks_say() -> None:
    model = make("groups, columns do not meet", 2)
    rows, pieces = model.rows, model.reduced.pieces
    scalars = [piece for piece in pieces if isinstance(piece, Scalars)]
    assert {tuple(piece.columns) for piece in scalars} >= {(0,), (1,)}
    assert rows.group is not None
    weights = np.zeros(rows.groups)
    weights[rows.group] = rows.weight
    Y = np.vstack([rows.W.T, rows.y])
    whole = orthogonalise(np.ascontiguousarray(rows.X.T), Y, rows.group, weights)
    as_blocks: list[Piece] = [
        Blocks(triangle=whole.triangle, responses=whole.responses, real=whole.real, weight=weights),
        Rest(slopes=2, rows=whole.rest_rows, total=whole.rest),
    ]
    values = GroupParams.free(somewhere(model))
    stats = evaluate(values, as_blocks)
    dense = Dense(rows)
    np.testing.assert_allclose(stats.trace, dense.forms(values.values)[1], rtol=EXACT)
    np.testing.assert_allclose(stats.pairs, dense.forms(values.values)[2], rtol=EXACT)


def test_rows_with_one_column_each_never_meet_a_matrix() -> None:
    pieces = make("rows, one column each", 0).reduced.pieces
    assert [type(piece).__name__ for piece in pieces] == ["Scalars", "Scalars", "Rest"]
    assert all(len(piece.columns) == 1 for piece in pieces if isinstance(piece, Scalars))


def test_powers_of_two_change_no_digit() -> None:
    for kind in KINDS:
        model = make(kind, 2)
        rows = model.rows
        scaled = model_of(replace(rows, y=2.0**-90 * rows.y, X=2.0**70 * rows.X, W=2.0**-30 * rows.W))
        expected = fitted(model) * np.append(np.full(len(model.names), 2.0**-320), 2.0**-180)
        assert (fitted(scaled) == expected).all()


def test_the_size_of_the_weights_changes_no_estimate() -> None:
    model = make("groups", 2)
    for size in (2.0**-600, 2.0**500):
        scaled = model_of(replace(model.rows, weight=size * model.rows.weight))
        assert (fitted(scaled) == fitted(model)).all()


def test_a_large_constant_costs_no_digits() -> None:
    model = make("groups", 2)
    moved = model_of(replace(model.rows, y=model.rows.y + 1e6))
    # y itself keeps ten of its digits beside 1e6.
    np.testing.assert_allclose(fitted(moved), fitted(model), rtol=1e-8, atol=1e-9)


def test_a_variance_without_evidence_is_exactly_zero_with_a_certificate() -> None:
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(20), 5)
    x = np.ones(100)
    y = rng.standard_normal(100)
    for code in range(20):
        y[group == code] -= y[group == code].mean()  # less alike within groups than independent rows are
    rows = Rows(y=y, X=x[:, None], W=np.zeros((100, 0)), weight=np.ones(100), group=group)
    for scheme in SCHEMES:
        outcome = model_of(rows).climb(GroupParams.free(np.array([1.0, 1.0])), Climb(scheme=scheme))
        assert outcome.params.values[0] == 0.0
        assert outcome.status.name == "ON_BOUNDARY"
        assert outcome.certificate.on_boundary == (0,)


def test_the_residual_variance_can_be_exactly_zero() -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal(50)  # some are next to 0, where a residual would show
    rows = Rows(y=x * rng.standard_normal(50), X=x[:, None], W=np.zeros((50, 0)), weight=np.ones(50), group=None)
    model = model_of(rows)
    found = fitted(model)
    assert found[1] == 0.0
    assert found[0] == pytest.approx(np.mean((rows.y / x) ** 2), rel=1e-10)


def test_posterior_slopes_are_those_of_the_dense_normal() -> None:
    for kind in KINDS:
        model = make(kind, 2)
        dense, values = Dense(model.rows), somewhere(model)
        left = model.rows.y - model.rows.W @ dense.fixed(values)
        mean, sd = posterior_slopes(model.rows, left, values)
        D = np.diag(values[:-1])
        for number, at in enumerate(dense.groups()):
            gain = D @ model.rows.X[at].T @ np.linalg.inv(dense.covariance(at, values))
            np.testing.assert_allclose(mean[number], gain @ left[at], rtol=1e-9, atol=1e-12)
            spread = np.diag(D - gain @ model.rows.X[at] @ D)
            np.testing.assert_allclose(sd[number] ** 2, spread, rtol=1e-9, atol=1e-12)


def test_columns_that_differ_by_a_factor_only_are_found_out() -> None:
    rows = make("groups", 0).rows
    doubled = model_of(replace(rows, X=np.column_stack([rows.X, -2.0 * rows.X[:, 0]])))
    assert confounded(GroupParams.free(np.ones(4)), doubled.reduced.pieces) == (0, 2)
    assert confounded(GroupParams.free(np.ones(3)), make("groups", 0).reduced.pieces) == ()


def test_a_point_without_density_is_undefined_and_not_a_number() -> None:
    model = make("groups", 2)
    for piece in model.reduced.pieces:
        stats = summarise_groups(GroupParams.free(np.zeros(3)), piece)
        assert np.isnan(stats.log_determinant)
    assert model.closed(GroupParams.free(np.zeros(3))).log_likelihood == -np.inf


def test_the_scan_finds_the_higher_of_two_maxima() -> None:
    # Found by a search over random problems: one maximum at s = 0, one inside, and each of them once the higher.
    for seed, fixed, edge_is_higher in ((1, 2, True), (54, 0, False)):
        model = make("rows, columns meet", fixed, seed)
        edge, inside = (model.climb(inward(model, somewhere(model) * [1.0, 1.0, 1.0, s])) for s in (1e-4, 1.0))
        assert edge.params.values[-1] == 0.0
        assert inside.params.values[-1] > 0.0
        assert (edge.objective > inside.objective + 0.1) == edge_is_higher
        best = from_every_start(model.climb, good_starts(model.reduced.pieces, None)).best
        assert best.objective == pytest.approx(max(edge.objective, inside.objective), abs=1e-9)
