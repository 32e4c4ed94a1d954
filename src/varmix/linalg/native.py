"""LAPACK and BLAS called on views with a leading dimension, so that no matrix is ever copied.

SciPy's own wrappers copy every array that is not contiguous. The pointers SciPy exports for Cython do not: here they
are called through ctypes, which also releases the interpreter lock. A matrix argument is float64 with unit stride down
its columns; `column_view` gives that view of a row-major array by transposing. Integers are 32-bit, as SciPy exports
them.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
from scipy.linalg import cython_blas, cython_lapack

from varmix.errors import MissingExtraError, ShapeError
from varmix.typing import Matrix, Square, Vector

_REAL_BYTES: Final = 8
_ARGUMENTS: Final = {
    "dgemm": 13, "dsymm": 12, "dsyr2k": 12,
    "dgeqrt": 9, "dgemqrt": 14,
    "dsytrd": 10, "dormtr": 13, "dsterf": 4, "dpttrf": 4, "dpttrs": 7,
    "dsbtrd": 12, "dpbtrf": 6, "dpbtrs": 9, "dsyevd": 11,
}  # fmt: skip
"""Routines used and their number of arguments, compared with what SciPy exports when the module is loaded."""

_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype, _capsule_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _load(name: str, count: int) -> Any:
    exported = cython_blas.__pyx_capi__ if name in cython_blas.__pyx_capi__ else cython_lapack.__pyx_capi__
    signature = _capsule_name(exported[name])
    found = signature.count(b",") + 1
    if found != count or b"int *" not in signature:
        raise MissingExtraError(
            f"SciPy exports {name} as {signature.decode()}, not with {count} arguments and 32-bit integers. "
            "Install a SciPy release with the standard (LP64) build of LAPACK."
        )
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)(_capsule_pointer(exported[name], signature))


_ROUTINES: Final = {name: _load(name, count) for name, count in _ARGUMENTS.items()}


def _call(name: str, *arguments: bytes | int | float | np.ndarray[Any, Any], info: bool = True) -> int:
    """Call a routine with values boxed and arrays as pointers; the last argument of LAPACK's routines is `info`."""
    boxes: list[Any] = []
    for value in arguments:
        if isinstance(value, np.ndarray):
            boxes.append(value.ctypes.data)
        elif isinstance(value, bytes):
            boxes.append(ctypes.byref(ctypes.c_char(value)))
        elif isinstance(value, int):
            boxes.append(ctypes.byref(ctypes.c_int(value)))
        else:
            boxes.append(ctypes.byref(ctypes.c_double(value)))
    code = ctypes.c_int(0)
    if info:
        boxes.append(ctypes.byref(code))
    _ROUTINES[name](*boxes)
    if code.value < 0:
        raise ShapeError(f"{name} refused its argument {-code.value}. Check the shapes of the arrays passed to it.")
    return code.value


def column_view(array: Matrix, name: str) -> Matrix:
    """The array itself, or its transpose, with unit stride down the columns; never a copy.

    Meant for symmetric matrices, where the transpose is the same matrix.
    Raises ShapeError when neither axis has unit stride, or the array is not a float64 matrix.
    """
    return array if is_columnwise(array, name) else array.T


def is_columnwise(array: Matrix, name: str) -> bool:
    """True when columns have unit stride, False when rows do. Raises ShapeError when neither or not float64."""
    if array.ndim != 2 or array.dtype != np.float64:
        raise ShapeError(
            f"{name} must be a float64 matrix, not {array.ndim}-dimensional {array.dtype}. Convert it first."
        )
    rows, columns = array.shape
    down, across = array.strides
    if (down == _REAL_BYTES or rows <= 1) and (columns <= 1 or across >= max(rows, 1) * _REAL_BYTES):
        return True
    if (across == _REAL_BYTES or columns <= 1) and (rows <= 1 or down >= max(columns, 1) * _REAL_BYTES):
        return False
    raise ShapeError(
        f"{name} has strides {array.strides}: neither its rows nor its columns are consecutive. Pass a slice of a "
        "contiguous array, not a strided one."
    )


def _leading(array: Matrix, name: str, *, writable: bool = False) -> int:
    if not is_columnwise(array, name):
        raise ShapeError(f"{name} is stored by rows; pass its transpose or an array of order 'F'.")
    if writable and not array.flags.writeable:
        raise ShapeError(f"{name} is read-only and would be overwritten. Pass a writable copy.")
    rows, columns = array.shape
    return array.strides[1] // _REAL_BYTES if columns > 1 else max(rows, 1)


def _consecutive(vector: np.ndarray[Any, Any], length: int, name: str) -> None:
    if vector.ndim != 1 or vector.size < length or not vector.flags.c_contiguous or not vector.flags.writeable:
        raise ShapeError(f"{name} must be a writable consecutive vector of at least {length} entries.")


def _square(A: Square, name: str) -> int:
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise ShapeError(f"{name} must be square, not of shape {A.shape}.")
    return int(A.shape[0])


def _match(expected: tuple[int, ...], got: tuple[int, ...], name: str) -> None:
    if expected != got:
        raise ShapeError(f"{name} has shape {got} where {expected} is needed.")


def product_into(
    A: Matrix, B: Matrix, out: Matrix, *, left_transposed: bool = False, scale: float = 1.0, keep: float = 0.0
) -> None:
    """out = scale * A B + keep * out, with A' for A when left_transposed (dgemm).

    NumPy and SciPy carry separate copies of OpenBLAS whose idle threads spin: alternating between the two within a loop
    costs up to three times the work itself, so loops over SciPy's LAPACK multiply here.
    """
    rows, inner = A.shape[::-1] if left_transposed else A.shape
    _match((inner, B.shape[1]), B.shape, "B")
    _match((rows, B.shape[1]), out.shape, "out")
    if out.size and inner == 0:
        out *= keep
    elif out.size:
        _call("dgemm", b"T" if left_transposed else b"N", b"N", rows, B.shape[1], inner, scale, A, _leading(A, "A"), B,
              _leading(B, "B"), keep, out, _leading(out, "out", writable=True), info=False)  # fmt: skip


def symmetric_product_into(A: Square, B: Matrix, out: Matrix) -> None:
    """out = A B with A (n x n) read from its lower triangle, B and out n x r (dsymm)."""
    size = _square(A, "A")
    _match((size, B.shape[1]), B.shape, "B")
    _match(B.shape, out.shape, "out")
    if B.size:
        _call("dsymm", b"L", b"L", size, B.shape[1], 1.0, A, _leading(A, "A"), B, _leading(B, "B"), 0.0, out,
              _leading(out, "out", writable=True), info=False)  # fmt: skip


def subtract_symmetric_pair_into(A: Square, V: Matrix, W: Matrix) -> None:
    """A -= V W' + W V' in the lower triangle of A (n x n), V and W n x r (dsyr2k)."""
    size = _square(A, "A")
    _match((size, V.shape[1]), V.shape, "V")
    _match(V.shape, W.shape, "W")
    if V.size:
        _call("dsyr2k", b"L", b"N", size, V.shape[1], -1.0, V, _leading(V, "V"), W, _leading(W, "W"), 1.0, A,
              _leading(A, "A", writable=True), info=False)  # fmt: skip


def qr_into(A: Matrix, T: Square) -> None:
    """A (n x r) becomes R above its diagonal and reflectors V below; T (k x k, k = min(n, r)) with Q = I - V T V'."""
    rows, columns = A.shape
    width = min(rows, columns)
    _match((width, width), T.shape, "T")
    if width:
        work = np.empty(width * columns)
        _call("dgeqrt", rows, columns, width, A, _leading(A, "A", writable=True), T,
              _leading(T, "T", writable=True), work)  # fmt: skip


def multiply_by_q_into(V: Matrix, T: Square, B: Matrix, *, left: bool, transpose: bool) -> None:
    """B becomes Q B, Q'B (left) or B Q, B Q' (right) for Q = I - V T V' as `qr_into` leaves it (dgemqrt)."""
    width = _square(T, "T")
    length = B.shape[0] if left else B.shape[1]
    if V.shape[0] != length or V.shape[1] < width:
        raise ShapeError(f"reflectors of shape {V.shape} cannot act on an array of shape {B.shape}.")
    if B.size and width:
        work = np.empty(width * (B.shape[1] if left else B.shape[0]))
        _call("dgemqrt", b"L" if left else b"R", b"T" if transpose else b"N", *B.shape, width, width, V,
              _leading(V, "V"), T, _leading(T, "T"), B, _leading(B, "B", writable=True), work)  # fmt: skip


def tridiagonalise_into(A: Square, d: Vector, e: Vector, tau: Vector) -> None:
    """A (n x n, lower triangle) becomes reflectors; d (n), e (n - 1), tau (n - 1) of T = Q'AQ (dsytrd)."""
    size = _square(A, "A")
    for name, vector, length in (("d", d, size), ("e", e, size - 1), ("tau", tau, size - 1)):
        _consecutive(vector, max(length, 0), name)
    if size:
        leading = _leading(A, "A", writable=True)
        best = np.empty(1)
        _call("dsytrd", b"L", size, A, leading, d, e, tau, best, -1)
        work = np.empty(int(best[0]))
        _call("dsytrd", b"L", size, A, leading, d, e, tau, work, work.size)


def multiply_by_tridiagonal_q_into(A: Square, tau: Vector, B: Matrix, *, transpose: bool) -> None:
    """B (n x r) becomes Q B or Q'B for the Q that `tridiagonalise_into` left in A and tau (dormtr)."""
    size = _square(A, "A")
    _match((size, B.shape[1]), B.shape, "B")
    if B.size and size > 1:
        fixed = (b"L", b"L", b"T" if transpose else b"N", size, B.shape[1], A, _leading(A, "A"), tau, B,
                 _leading(B, "B", writable=True))  # fmt: skip
        best = np.empty(1)
        _call("dormtr", *fixed, best, -1)
        work = np.empty(int(best[0]))
        _call("dormtr", *fixed, work, work.size)


def tridiagonal_eigenvalues_into(d: Vector, e: Vector) -> bool:
    """d (n) becomes the ascending eigenvalues, e (n - 1) is destroyed (dsterf); False when the iteration failed."""
    _consecutive(d, d.size, "d")
    _consecutive(e, max(d.size - 1, 0), "e")
    return d.size == 0 or _call("dsterf", d.size, d, e) == 0


def factor_tridiagonal_into(d: Vector, e: Vector) -> bool:
    """L D L' of a tridiagonal matrix in place (dpttrf); False when it is not positive definite."""
    _consecutive(d, d.size, "d")
    _consecutive(e, max(d.size - 1, 0), "e")
    return d.size == 0 or _call("dpttrf", d.size, d, e) == 0


def solve_tridiagonal_into(d: Vector, e: Vector, B: Matrix) -> None:
    """B (n x r) becomes the solution for the factor `factor_tridiagonal_into` left in d and e (dpttrs)."""
    _match((d.size, B.shape[1]), B.shape, "B")
    if B.size:
        _call("dpttrs", d.size, B.shape[1], d, e, B, _leading(B, "B", writable=True))


def tridiagonalise_band_into(band: Matrix, d: Vector, e: Vector) -> None:
    """Lower band storage ((b + 1) x n, destroyed) to d (n) and e (n - 1) of a tridiagonal form (dsbtrd, no vectors)."""
    width, size = band.shape[0] - 1, band.shape[1]
    _consecutive(d, size, "d")
    _consecutive(e, max(size - 1, 0), "e")
    if size:
        unused, work = np.empty(1), np.empty(size)
        _call("dsbtrd", b"N", b"L", size, width, band, _leading(band, "band", writable=True), d, e, unused, 1, work)


def factor_band_into(band: Matrix) -> bool:
    """Cholesky factor of lower band storage ((b + 1) x n) in place (dpbtrf); False when not positive definite."""
    if band.shape[1] == 0:
        return True
    return _call("dpbtrf", b"L", band.shape[1], band.shape[0] - 1, band, _leading(band, "band", writable=True)) == 0


def solve_band_into(band: Matrix, B: Matrix) -> None:
    """B (n x r) becomes the solution for the factor `factor_band_into` left in band (dpbtrs)."""
    _match((band.shape[1], B.shape[1]), B.shape, "B")
    if B.size:
        _call("dpbtrs", b"L", band.shape[1], band.shape[0] - 1, B.shape[1], band, _leading(band, "band"), B,
              _leading(B, "B", writable=True))  # fmt: skip


def eigenvectors_into(A: Square, eigenvalues: Vector) -> bool:
    """A (n x n, lower triangle) becomes its eigenvectors, eigenvalues (n) ascending (dsyevd); False when it failed.

    LAPACK's divide and conquer needs 2 n^2 + 6 n + 1 numbers of workspace.
    """
    size = _square(A, "A")
    _consecutive(eigenvalues, size, "eigenvalues")
    if size == 0:
        return True
    work, integers = np.empty(2 * size * size + 6 * size + 1), np.empty(5 * size + 3, dtype=np.intc)
    return _call("dsyevd", b"V", b"L", size, A, _leading(A, "A", writable=True), eigenvalues, work, work.size,
                 integers, integers.size) == 0  # fmt: skip
