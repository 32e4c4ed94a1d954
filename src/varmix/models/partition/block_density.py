"""Log densities of genes with a variance of their own in every block, with first and second derivatives [PART-5].

`d_gs = sum_B tau_gB^2 sum_(t in B) p_st^2 + omega^2` for one partition. Coordinates of the derivatives are the gene's
variances, then mu_0 and a. Both likelihoods: the joint one [PART-2] and the product over samples [PART-6].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from varmix.iteration.accelerate import NOISE
from varmix.models.partition.genes import Genes
from varmix.models.partition.heteroscedastic import LOG_2PI, Spectrum
from varmix.models.partition.params import PartitionParams
from varmix.typing import Array, Index, Matrix, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """What one partition's densities are made of, of G genes: everything but the variances.

    `residual` r, `within` W (G, D), `counts` n (D,), `shown` Q = P C (D, B), `loading` sum_(t in B) p^2 (D, B).
    """

    residual: Matrix
    within: Matrix
    counts: Vector
    shown: Matrix
    loading: Matrix
    between: float
    measurement: float

    @classmethod
    def of(cls, params: PartitionParams, indicator: Matrix, genes: Genes) -> Setting:
        """At mu_0, a, P and omega^2 of a point, for the partition with this indicator (T, B)."""
        P = params.proportions[genes.types]
        return cls(
            residual=genes.means - params.mean,
            within=genes.within,
            counts=genes.counts,
            shown=P @ indicator,
            loading=(P * P) @ indicator,
            between=params.between,
            measurement=params.measurement,
        )

    def rows(self, where: Index) -> Setting:
        """Of some genes."""
        return Setting(
            residual=self.residual[where],
            within=self.within[where],
            counts=self.counts,
            shown=self.shown,
            loading=self.loading,
            between=self.between,
            measurement=self.measurement,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Derivatives:
    """Of each gene's log density by (its variances, mu_0, a): `gradient` (G, B + 2), `hessian` (G, B + 2, B + 2).

    `expected` (G, B, B) is the expected information of the variances; `seen` and `predicted` (G, B) are the positive
    and the negative part of twice the gradient by them, the root of whose ratio is the MM factor. `between` (G, 2) is
    what is predicted of the score by a, and the expected information on it if the variances were known.
    """

    gradient: Matrix
    hessian: Array
    expected: Array
    seen: Matrix
    predicted: Matrix
    between: Matrix


class BlockDensity(Protocol):
    """A likelihood at given variances."""

    @classmethod
    def at(cls, setting: Setting, variances: Matrix) -> Self:
        """At variances (G, B)."""
        ...

    @property
    def log_density(self) -> Vector:
        """Shape (G,)."""
        ...

    @property
    def rounding(self) -> Vector:
        """Differences of log densities below which there is nothing but rounding, (G,)."""
        ...

    def derivatives(self) -> Derivatives:
        """First and second ones."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointBlocks:
    """Samples share their block means: `V = E + a Q Q'`, in the eigenvectors of `Q'E^-1 Q` [PART-2]."""

    setting: Setting
    sample: Matrix
    inverse: Matrix
    """1 / E, (G, D)."""
    spectrum: Spectrum

    @classmethod
    def at(cls, setting: Setting, variances: Matrix) -> JointBlocks:
        """At variances (G, B)."""
        sample = variances @ setting.loading.T + setting.measurement
        inverse = setting.counts / sample
        Q, size = setting.shown, setting.shown.shape[1]
        products = (Q[:, :, None] * Q[:, None, :]).reshape(len(Q), size * size)
        information = (inverse @ products).reshape(len(inverse), size, size)
        spectrum = Spectrum.of(information, (setting.residual * inverse) @ Q, np.eye(size))
        return cls(setting=setting, sample=sample, inverse=inverse, spectrum=spectrum)

    @property
    def left(self) -> Matrix:
        """What the best block means leave of r, (G, D)."""
        a, basis = self.setting.between, self.spectrum.basis
        means = np.einsum("gbc,gc->gb", basis, a * self.spectrum.slope / (1.0 + a * self.spectrum.values))
        return np.asarray(self.setting.residual - means @ self.setting.shown.T)

    @property
    def squares(self) -> Vector:
        """`W / d` and `r'V^-1 r`, (G,): squares that the best block means leave, and of those means themselves.

        As sums of what is positive: variances near 0 would cancel the digits of r'E^-1 r.
        """
        a = self.setting.between
        means = a * (self.spectrum.slope / (1.0 + a * self.spectrum.values)) ** 2
        within = (self.setting.within / self.sample).sum(axis=1)
        return np.asarray(within + (self.left**2 * self.inverse).sum(axis=1) + means.sum(axis=1))

    @property
    def log_density(self) -> Vector:
        """Shape (G,)."""
        n = self.setting.counts
        determinant = np.log1p(self.setting.between * self.spectrum.values).sum(axis=1)
        determinant += np.log(self.sample) @ (n - 1.0) - np.log(self.inverse).sum(axis=1)
        constant = float((LOG_2PI * n + np.log(n)).sum())
        return np.asarray(-0.5 * (constant + determinant + self.squares))

    @property
    def rounding(self) -> Vector:
        """Of sums of terms that do not cancel."""
        return np.asarray(NOISE * (1.0 + self.squares + np.abs(self.log_density)))

    def derivatives(self) -> Derivatives:
        """[PART-3] with the variances of blocks in place of tau^2."""
        at, a, i, d = self.setting, self.setting.between, self.inverse, self.sample
        n, loading, size = at.counts, at.loading, at.loading.shape[1]
        h, y = self.spectrum.values, self.spectrum.slope
        factor = 1.0 + a * h
        Q = at.shown @ self.spectrum.basis  # in the eigenvectors, (G, D, B)
        Z = i[:, :, None] * Q / factor[:, None, :]  # V^-1 Q
        X = i[:, :, None] * Q * np.sqrt(a / factor)[:, None, :]  # V^-1 = E^-1 - X X'
        q, ones = y / factor, np.einsum("gdb,gd->gb", Q, i) / factor  # Q'V^-1 r, Q'V^-1 1
        w = i * self.left  # V^-1 r
        o = i * (1.0 - a * np.einsum("gdb,gb->gd", Q, ones))  # V^-1 1
        caught = (X * X).sum(axis=2)
        diagonal = np.maximum(i - caught, 0.0)
        weight = loading / n[:, None]  # derivatives of E
        freedom = (n - 1.0) / d
        ratio = at.within / d**2
        seen = (ratio + w * w / n) @ loading
        predicted = (freedom + diagonal / n) @ loading
        expected = 0.5 * _weighted(i * i - 2.0 * i * caught, weight) + 0.5 * _weighted(freedom / d, loading)
        turned = np.einsum("db,gdc,gde->gbce", weight, X, X).reshape(len(d), size, -1)
        expected += 0.5 * turned @ turned.transpose(0, 2, 1)
        pulled = np.einsum("gdc,gd,db->gbc", X, w, weight)
        gradient, hessian = np.empty((len(d), size + 2)), np.empty((len(d), size + 2, size + 2))
        # 1 = Q 1 + e: of 1'V^-1 r only e'V^-1 r, as a rule 0, loses digits to small variances
        total, off = self.spectrum.basis.sum(axis=1), 1.0 - at.shown.sum(axis=1)
        gradient[:, :size], gradient[:, size] = 0.5 * (seen - predicted), (total * q).sum(axis=1) + w @ off
        gradient[:, size + 1] = 0.5 * (q * q - h / factor).sum(axis=1)
        hessian[:, :size, :size] = expected - _weighted(i * w * w, weight) + pulled @ pulled.transpose(0, 2, 1)
        hessian[:, :size, :size] -= _weighted(at.within / d**3, loading)
        hessian[:, size, :size] = -(o * w) @ weight
        hessian[:, size + 1, :size] = (0.5 * (Z * Z).sum(axis=2) - w * np.einsum("gdb,gb->gd", Z, q)) @ weight
        hessian[:, :size, size:] = hessian[:, size:, :size].transpose(0, 2, 1)
        hessian[:, size, size] = -(total * ones).sum(axis=1) - o @ off
        hessian[:, size, size + 1] = hessian[:, size + 1, size] = -(ones * q).sum(axis=1)
        hessian[:, size + 1, size + 1] = (0.5 * (h / factor) ** 2 - q * q * h / factor).sum(axis=1)
        between = 0.5 * np.stack([(h / factor).sum(axis=1), ((h / factor) ** 2).sum(axis=1)], axis=1)
        return Derivatives(
            gradient=gradient, hessian=hessian, expected=expected, seen=seen, predicted=predicted, between=between
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompositeBlocks:
    """Samples as if independent: `v = a |p'C|^2 + d`, section 1 of the note with its gradient corrected [PART-6]."""

    setting: Setting
    variance: Matrix
    squares: Matrix

    @classmethod
    def at(cls, setting: Setting, variances: Matrix) -> CompositeBlocks:
        """At variances (G, B)."""
        shared = setting.between * (setting.shown**2).sum(axis=1)
        return cls(
            setting=setting,
            variance=variances @ setting.loading.T + setting.measurement + shared,
            squares=setting.within + setting.counts * setting.residual**2,
        )

    @property
    def log_density(self) -> Vector:
        """Shape (G,)."""
        v, n = self.variance, self.setting.counts
        return np.asarray(-0.5 * ((LOG_2PI + np.log(v)) @ n + (self.squares / v).sum(axis=1)))

    @property
    def rounding(self) -> Vector:
        """Of sums of terms that do not cancel."""
        squares = (self.squares / self.variance).sum(axis=1)
        return np.asarray(NOISE * (1.0 + squares + np.abs(self.log_density)))

    def derivatives(self) -> Derivatives:
        """a has `|p'C|^2` for its loading."""
        at, v, n = self.setting, self.variance, self.setting.counts
        size = at.loading.shape[1]
        loading = np.column_stack([at.loading, (at.shown**2).sum(axis=1)])
        seen, predicted = (self.squares / v**2) @ loading, (n / v) @ loading
        order = np.r_[0:size, size + 1]
        gradient, hessian = np.empty((len(v), size + 2)), np.empty((len(v), size + 2, size + 2))
        gradient[:, order] = 0.5 * (seen - predicted)
        gradient[:, size] = (at.residual / v) @ n
        expected = 0.5 * _weighted(n / v**2, loading)
        hessian[np.ix_(np.arange(len(v)), order, order)] = expected - _weighted(self.squares / v**3, loading)
        hessian[:, size, order] = -(n * at.residual / v**2) @ loading
        hessian[:, order, size] = hessian[:, size, order]
        hessian[:, size, size] = -(1.0 / v) @ n
        return Derivatives(
            gradient=gradient,
            hessian=hessian,
            expected=expected[:, :size, :size],
            seen=seen[:, :size],
            predicted=predicted[:, :size],
            between=np.stack([0.5 * predicted[:, size], expected[:, size, size]], axis=1),
        )


BLOCK_DENSITIES: dict[str, type[JointBlocks] | type[CompositeBlocks]] = {
    "joint": JointBlocks,
    "composite": CompositeBlocks,
}


def _weighted(weights: Matrix, loading: Matrix) -> Array:
    """`sum_s weights_gs loading_sb loading_sc`, shape (G, B, B)."""
    size = loading.shape[1]
    products = (loading[:, :, None] * loading[:, None, :]).reshape(len(loading), size * size)
    return np.asarray((weights @ products).reshape(len(weights), size, size))
