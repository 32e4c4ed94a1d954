"""The sums over eigenvalues that a likelihood needs, for a block of responses at once [VC-7].

Arrays of any namespace of the array API standard. A block is laid out (responses, coordinates): a response is
consecutive, so that gathering responses is a copy and sums over coordinates are inner products. Temporaries are changed
in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from array_api_compat import array_namespace


class ShareSums(NamedTuple):
    """At one share h per response, shape (b,) each; `d = h l + 1 - h`, `t = (l - 1) / d`."""

    quadratic: Any
    """`sum w / d`."""
    first: Any
    """`sum w t / d`: minus the derivative of `quadratic`."""
    second: Any
    """`sum w t^2 / d`: half the second derivative."""
    slope: Any
    """`sum t`, with counts: the derivative of the log-determinant."""
    bend: Any
    """`sum t^2`, with counts: minus its second derivative."""


@dataclass(frozen=True, slots=True)
class SpectrumArrays:
    """The parts of a spectrum that the sums read, in one namespace; shapes (m,) and (m',)."""

    eigenvalues: Any
    counts: Any
    determinant_eigenvalues: Any
    determinant_counts: Any
    shared: bool


def share_sums(squares: Any, spectrum: SpectrumArrays, kernel: Any, residual: Any) -> ShareSums:
    """Sums for squared rotated responses (b, m) at h = `kernel` and 1 - h = `residual`, shape (b,) each."""
    xp = array_namespace(squares)
    inverse = _inverse(spectrum.eigenvalues, kernel, residual)
    ratio = inverse * (spectrum.eigenvalues - 1.0)[None, :]
    inverse *= squares
    quadratic = xp.sum(inverse, axis=1)
    inverse *= ratio
    first = xp.sum(inverse, axis=1)
    second = xp.vecdot(inverse, ratio)
    if not spectrum.shared:
        ratio = _inverse(spectrum.determinant_eigenvalues, kernel, residual)
        ratio *= (spectrum.determinant_eigenvalues - 1.0)[None, :]
    slope = ratio @ spectrum.determinant_counts
    ratio *= ratio
    return ShareSums(quadratic, first, second, slope, ratio @ spectrum.determinant_counts)


def grid_sums(squares: Any, spectrum: SpectrumArrays, kernel: Any, residual: Any) -> ShareSums:
    """The same at a grid of shares for all responses, by one matrix product: (b, G), and (G,) for slope and bend."""
    xp = array_namespace(squares)
    inverse = _inverse(spectrum.eigenvalues, kernel, residual)
    ratio = inverse * (spectrum.eigenvalues - 1.0)[None, :]
    weights = xp.concat([inverse, inverse * ratio, inverse * ratio * ratio], axis=0)
    sums = squares @ weights.T
    nodes = kernel.shape[0]
    if not spectrum.shared:
        ratio = _inverse(spectrum.determinant_eigenvalues, kernel, residual)
        ratio *= (spectrum.determinant_eigenvalues - 1.0)[None, :]
    return ShareSums(
        sums[:, :nodes],
        sums[:, nodes : 2 * nodes],
        sums[:, 2 * nodes :],
        ratio @ spectrum.determinant_counts,
        (ratio * ratio) @ spectrum.determinant_counts,
    )


def log_determinants(spectrum: SpectrumArrays, kernel: Any, residual: Any) -> Any:
    """`log |V| - n log sigma^2` per share, shape (b,)."""
    xp = array_namespace(kernel)
    diagonal = spectrum.determinant_eigenvalues[None, :] * kernel[:, None]
    diagonal += residual[:, None]
    return xp.log(diagonal) @ spectrum.determinant_counts


def fixed_sums(rotated: Any, spectrum: SpectrumArrays, loadings: Any, kernel: Any, residual: Any) -> tuple[Any, Any]:
    """`sum g y / d` and `sum g^2 / d` for loadings g (m, c) and rotated responses y (b, m): (b, c) each."""
    inverse = _inverse(spectrum.eigenvalues, kernel, residual)
    of_squares = inverse @ (loadings * loadings)
    inverse *= rotated
    return inverse @ loadings, of_squares


def _inverse(eigenvalues: Any, kernel: Any, residual: Any) -> Any:
    """`1 / (h l + 1 - h)`, shape (b, m)."""
    diagonal = eigenvalues[None, :] * kernel[:, None]
    diagonal += residual[:, None]
    return 1.0 / diagonal
