"""The definition, in dense algebra and nothing else: what every factor, scheme and result is held against.

Nothing of varmix is used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Algebra:
    """Everything that depends on theta."""

    V: Array
    inverse: Array
    information_w: Array
    w: Array
    P: Array
    r: Array


@dataclass(frozen=True, kw_only=True)
class DenseModel:
    """`y ~ N(Zw, sum_k s_k K_k + s_e I)`; the last of `K` is the identity [VC-1]."""

    y: Array
    Z: Array
    K: tuple[Array, ...]

    @classmethod
    def of(cls, y: Array, Z: Array, kernels: list[Array]) -> DenseModel:
        return cls(y=y, Z=Z, K=(*kernels, np.eye(len(y))))

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def c(self) -> int:
        return self.Z.shape[1]

    @property
    def M(self) -> Array:
        """`I - Z(Z'Z)^-1 Z'`."""
        basis = np.linalg.qr(self.Z)[0]
        return np.eye(self.n) - basis @ basis.T

    @property
    def traces(self) -> Array:
        """`tr(M K_k)` and n - c [VC-9]."""
        return np.array([np.sum(self.M * K) for K in self.K])

    def at(self, s: Array) -> Algebra:
        V = sum(s_k * K for s_k, K in zip(s, self.K, strict=True))
        inverse = np.linalg.inv(V)
        information = self.Z.T @ inverse @ self.Z
        w = np.linalg.solve(information, self.Z.T @ inverse @ self.y)
        P = inverse - inverse @ self.Z @ np.linalg.solve(information, self.Z.T @ inverse)
        return Algebra(V=V, inverse=inverse, information_w=information, w=w, P=P, r=self.y - self.Z @ w)

    def log_likelihood(self, s: Array, criterion: str) -> float:
        """[VC-2]."""
        try:
            a = self.at(s)
            root = np.linalg.cholesky(a.V)
        except np.linalg.LinAlgError:
            return -np.inf
        white = np.linalg.solve(root, a.r)
        ml = -0.5 * float(self.n * np.log(2 * np.pi) + 2 * np.log(root.diagonal()).sum() + white @ white)
        if criterion == "ml":
            return ml
        return ml + self.c / 2 * np.log(2 * np.pi) - float(np.linalg.slogdet(a.information_w)[1]) / 2

    def quad_and_trace(self, s: Array, criterion: str) -> tuple[Array, Array]:
        """[VC-3]."""
        a = self.at(s)
        inverse = a.inverse if criterion == "ml" else a.P
        Py = a.P @ self.y
        return np.array([Py @ K @ Py for K in self.K]), np.array([np.sum(inverse * K) for K in self.K])

    def score(self, s: Array, criterion: str) -> Array:
        quad, trace = self.quad_and_trace(s, criterion)
        return (quad - trace) / 2

    def expected(self, s: Array, criterion: str) -> Array:
        """[VC-4]."""
        a = self.at(s)
        images = [(a.inverse if criterion == "ml" else a.P) @ K for K in self.K]
        return np.array([[np.sum(left * right.T) / 2 for right in images] for left in images])

    def average(self, s: Array) -> Array:
        """[VC-4]."""
        a = self.at(s)
        images = np.array([K @ (a.P @ self.y) for K in self.K])
        return images @ a.P @ images.T / 2

    def observed(self, s: Array, criterion: str) -> Array:
        return 2 * self.average(s) - self.expected(s, criterion)

    def maximum(self, criterion: str, start: Array | None = None) -> tuple[Array, float]:
        """Argument and maximum: L-BFGS-B on the cone, then Newton steps on the components that are not at 0."""
        count = len(self.K)
        spread = float(self.y @ self.M @ self.y) / (self.n - self.c)
        scale = spread * (self.n - self.c) / np.maximum(self.traces, 1e-300)
        begin = np.full(count, 1.0 / count) if start is None else start / scale
        bounds = [(0.0, None)] * (count - 1) + [(1e-9, None)]
        found = optimize.minimize(
            lambda t: -self.log_likelihood(t * scale, criterion),
            begin,
            jac=lambda t: -self.score(t * scale, criterion) * scale,
            bounds=bounds,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 2000},
        )
        s = np.where(found.x < 1e-7, 0.0, found.x) * scale
        if s[-1] == 0.0 and not np.isfinite(self.log_likelihood(s, criterion)):
            s[-1] = found.x[-1] * scale[-1]
        free = s > 0.0
        for _ in range(6):
            step = np.linalg.solve(self.observed(s, criterion)[np.ix_(free, free)], self.score(s, criterion)[free])
            if np.abs(step / s[free]).max() > 0.1:
                break
            s[free] += step
        return s, self.log_likelihood(s, criterion)

    # One step of each scheme, as the theory page prints it

    def em(self, s: Array, effects: Array, criterion: str) -> Array:
        """[EM-1] from the moments of the missing data, with designs that have K = XX'."""
        a = self.at(s)
        inverse, count = (a.inverse, self.n) if criterion == "ml" else (a.P, self.n - self.c)
        updated = np.empty(len(s))
        for k, K in enumerate(self.K):
            X = factor_of(K)
            mu = s[k] * X.T @ a.P @ self.y
            rank = effects[k] if k < len(effects) else count
            # The directions beyond the rank of K keep their prior variance s_k.
            S = s[k] * np.eye(X.shape[1]) - s[k] ** 2 * X.T @ inverse @ X
            extra = rank - X.shape[1] if k < len(effects) else count - self.n
            updated[k] = (mu @ mu + np.trace(S) + s[k] * extra) / rank
        return updated

    def pxem(self, s: Array, effects: Array) -> Array:
        """[PX-1] literally, for a model without covariates (REML: in the complement), any number of kernels."""
        assert self.c == 0
        X = [factor_of(K, int(q)) for K, q in zip(self.K[:-1], effects, strict=True)]
        s_e, widths = s[-1], [x.shape[1] for x in X]
        wide = np.hstack(X)
        S = np.linalg.inv(wide.T @ wide / s_e + np.diag(1.0 / np.repeat(s[:-1], widths)))
        mu = S @ wide.T @ self.y / s_e
        part = [slice(end - width, end) for end, width in zip(np.cumsum(widths), widths, strict=True)]
        count = range(len(X))
        A = np.array(
            [[X[k] @ mu[part[k]] @ (X[j] @ mu[part[j]]) + np.sum((X[k].T @ X[j]) * S[part[k], part[j]]) for j in count]
             for k in count]
        )  # fmt: skip
        c = np.array([self.y @ X[k] @ mu[part[k]] for k in count])
        delta = np.linalg.solve(A, c)
        scaled = wide * np.repeat(delta, widths)
        s_e = (np.sum((self.y - scaled @ mu) ** 2) + np.trace(scaled.T @ scaled @ S)) / self.n
        star = [(mu[part[k]] @ mu[part[k]] + np.trace(S[part[k], part[k]])) / widths[k] for k in count]
        return np.append(delta**2 * star, s_e)

    def mm(self, s: Array, criterion: str) -> Array:
        """[MM-1]."""
        quad, trace = self.quad_and_trace(s, criterion)
        return s * np.sqrt(quad / trace)

    def complement(self) -> DenseModel:
        """REML is ML of this: y and kernels in an orthonormal basis of the complement of Z."""
        basis = np.linalg.qr(self.Z, mode="complete")[0][:, self.c :]
        return DenseModel(
            y=basis.T @ self.y,
            Z=np.zeros((self.n - self.c, 0)),
            K=tuple(basis.T @ K @ basis for K in self.K),
        )


def factor_of(K: Array, columns: int | None = None) -> Array:
    """X with K = XX', of as many columns as the rank, or of `columns`."""
    values, vectors = np.linalg.eigh((K + K.T) / 2)
    order = np.argsort(values)[::-1]
    keep = int((values > 1e-10 * values.max()).sum()) if columns is None else min(columns, len(values))
    X = vectors[:, order[:keep]] * np.sqrt(np.maximum(values[order[:keep]], 0.0))
    return X if columns is None else np.hstack([X, np.zeros((len(K), columns - keep))])


def standardised(X: Array) -> Array:
    """Columns of mean 0 and variance 1/p (divisor n) [VC-1]."""
    centred = X - X.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred**2).mean(axis=0) * X.shape[1]))


def gradient(function: Callable[[Array], float], at: Array, step: float = 1e-5) -> Array:
    """Central differences with steps relative to each coordinate."""
    steps = step * np.where(at != 0.0, np.abs(at), 1.0)
    unit = np.diag(steps)
    return np.array([(function(at + d) - function(at - d)) / (2 * h) for d, h in zip(unit, steps, strict=True)])


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """Data with the truth beside them."""

    y: Array
    covariates: Array
    """Without the intercept, shape (n, c - 1)."""
    X: tuple[Array, ...]

    @property
    def Z(self) -> Array:
        return np.column_stack([np.ones(len(self.y)), self.covariates])

    @property
    def kernels(self) -> list[Array]:
        return [standardised(X) @ standardised(X).T for X in self.X]

    @property
    def dense(self) -> DenseModel:
        return DenseModel.of(self.y, self.Z, self.kernels)

    @property
    def designs(self) -> dict[str, Array]:
        return {f"x{number}": X for number, X in enumerate(self.X, start=1)}


def simulate(
    seed: int, n: int, widths: tuple[int, ...], truth: tuple[float, ...], covariates: int = 2, alike: float = 0.5
) -> Simulated:
    """Columns share the factor of their group with correlation `alike`, so that kernels have structure."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, covariates))
    X = tuple(rng.normal(size=(n, p)) + alike * rng.normal(size=(n, 3)) @ rng.normal(size=(3, p)) for p in widths)
    y = 1.5 + Z @ rng.normal(size=covariates) + np.sqrt(truth[-1]) * rng.normal(size=n)
    for x, s in zip(X, truth[:-1], strict=True):
        y = y + standardised(x) @ rng.normal(size=x.shape[1]) * np.sqrt(s)
    return Simulated(y=y, covariates=Z, X=X)
