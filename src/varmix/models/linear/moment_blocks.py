"""Variant blocks as pieces of the moment equations: what one block says, and how blocks add [MOM-5]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from varmix.errors import NotFiniteError, OptionError, ShapeError
from varmix.genotype.design import StandardisedDesign
from varmix.typing import Array, Matrix, Square, Vector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnnotatedDesign:
    """A design whose variants count with weights: component k has the kernel `X diag(a_k) X'`.

    `weights` has shape (p, k), one column per component; they may overlap and be continuous. Raises ShapeError,
    NotFiniteError.
    """

    design: StandardisedDesign
    weights: Matrix

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.weights.shape[0] != self.design.p:
            raise ShapeError(
                f"Design '{self.design.name}' has {self.design.p:,} columns and its weights have shape "
                f"{self.weights.shape}. Pass one row of weights per column kept."
            )
        if not np.isfinite(self.weights).all():
            raise NotFiniteError(f"Weights of design '{self.design.name}' hold NaN or infinity. Fill them in first.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VariantBlock:
    """Neighbouring columns of one design: a piece of the pass, and what the jackknife leaves out at once."""

    design: StandardisedDesign
    weights: Matrix
    """Shape (b, k)."""
    components: tuple[int, ...]
    """Numbers of the k components that the weights belong to."""
    label: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelBlock:
    """A dense kernel (n x n): a piece that the jackknife cannot divide."""

    kernel: Square
    component: int


Block: TypeAlias = VariantBlock | KernelBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSums:
    """Scalars of one block: inner products of its images `S_kj = M K_kj V` per probe, exact traces and quadratics."""

    components: tuple[int, ...]
    label: int | None
    within: Array
    """`<S_kj, S_lj>`, shape (k, k, B)."""
    along: Array
    """`<V, S_kj>`, shape (k, B)."""
    trace: Vector
    """`tr(M K_kj)`, shape (k,)."""
    quadratic: Matrix
    """`y'M K_kj M y`, shape (k, T)."""
    weight: Vector
    """Sum of the weights, shape (k,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSums:
    """What blocks say: images `M K_k [V, My]` of each component, which add, and the scalars of each block."""

    images: Mapping[int, Matrix]
    """Shape (n, B + T) each."""
    blocks: tuple[BlockSums, ...]

    def __add__(self, other: PassSums) -> PassSums:
        images = dict(self.images)
        for component, image in other.images.items():
            images[component] = images[component] + image if component in images else image
        return PassSums(images=images, blocks=self.blocks + other.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """Projected probes V = M u (n x B), projected responses My (n x T), and an orthonormal basis Q of Z (n x c)."""

    signs: Matrix
    responses: Matrix
    basis: Matrix

    def project(self, right: Matrix) -> Matrix:
        """`M B`."""
        return np.asarray(right - self.basis @ (self.basis.T @ right))

    @property
    def stacked(self) -> Matrix:
        """`[V, My]`, shape (n, B + T)."""
        return np.concatenate([self.signs, self.responses], axis=1)


def cut_blocks(
    sources: Sequence[StandardisedDesign | AnnotatedDesign], kernels: Sequence[Square], blocks: int
) -> tuple[Block, ...]:
    """Blocks of about equal numbers of variants, at least two per design; components are numbered in order.

    Raises OptionError when a design has fewer than two columns.
    """
    designs = [source.design if isinstance(source, AnnotatedDesign) else source for source in sources]
    width = sum(design.p for design in designs)
    pieces: list[Block] = []
    component = label = 0
    for source, design in zip(sources, designs, strict=True):
        if design.p < 2:
            raise OptionError(f"Design '{design.name}' has {design.p} column: blocks of variants need at least 2.")
        weights = source.weights if isinstance(source, AnnotatedDesign) else np.ones((design.p, 1))
        components = tuple(range(component, component + weights.shape[1]))
        count = min(design.p, max(2, round(blocks * design.p / width)))
        edges = np.linspace(0, design.p, count + 1).round().astype(int)
        for start, stop in pairwise(edges):
            part = slice(int(start), int(stop))
            pieces.append(
                VariantBlock(
                    design=design_columns(design, part), weights=weights[part], components=components, label=label
                )
            )
            label += 1
        component += len(components)
    pieces += [KernelBlock(kernel=kernel, component=component + i) for i, kernel in enumerate(kernels)]
    return tuple(pieces)


def design_columns(design: StandardisedDesign, part: slice) -> StandardisedDesign:
    """The same design restricted to some of its columns, scaled as before."""
    return replace(
        design,
        kept=design.kept[part],
        shift=design.shift[part],
        offset=design.offset[part],
        scale=design.scale[part],
        flipped=None if design.flipped is None else design.flipped[part],
        held=None if design.held is None else design.held[:, part],
    )


def weighted_blocks(block: VariantBlock) -> Iterator[tuple[Matrix, Matrix]]:
    """Columns (n, b) with their weights (b, k), a readable number at a time."""
    for part, columns in block.design.blocks():
        yield columns, block.weights[part]


def summarise_block(probes: Probes, block: Block) -> PassSums:
    """One block's part of the pass [MOM-5]."""
    if isinstance(block, KernelBlock):
        return _summarise_kernel(probes, block)
    right, count, kinds = probes.stacked, probes.signs.shape[1], len(block.components)
    images = np.zeros((kinds, *right.shape))
    trace = np.zeros(kinds)
    along, quadratic = np.zeros((kinds, count)), np.zeros((kinds, right.shape[1] - count))
    for X, weights in weighted_blocks(block):
        W = X.T @ right
        for k in range(kinds):
            images[k] += X @ (weights[:, k, None] * W)
        squares = W**2
        along += weights.T @ squares[:, :count]
        quadratic += weights.T @ squares[:, count:]
        # d_s = |x_s|^2 - |Q'x_s|^2  [MOM-5]
        trace += weights.T @ (np.einsum("ij,ij->j", X, X) - ((probes.basis.T @ X) ** 2).sum(axis=0))
    images = np.stack([probes.project(image) for image in images])
    return PassSums(
        images=dict(zip(block.components, images, strict=True)),
        blocks=(
            BlockSums(
                components=block.components,
                label=block.label,
                within=np.einsum("knb,lnb->klb", images[..., :count], images[..., :count], optimize=True),
                along=along,
                trace=trace,
                quadratic=quadratic,
                weight=block.weights.sum(axis=0),
            ),
        ),
    )


def _summarise_kernel(probes: Probes, block: KernelBlock) -> PassSums:
    right, count = probes.stacked, probes.signs.shape[1]
    image = probes.project(block.kernel @ right)
    products = np.einsum("ij,ij->j", right, image)
    inside = float(np.vdot(probes.basis, block.kernel @ probes.basis))
    return PassSums(
        images={block.component: image},
        blocks=(
            BlockSums(
                components=(block.component,),
                label=None,
                within=(image[:, :count] ** 2).sum(axis=0)[None, None],
                along=products[None, :count],
                trace=np.array([float(block.kernel.trace()) - inside]),
                quadratic=products[None, count:],
                weight=np.ones(1),
            ),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSums:
    """Second pass: products of each block's images with those of the whole, `<S_kj, S_l>/B`, shape (k, K)."""

    labels: tuple[int, ...]
    products: tuple[Matrix, ...]

    def __add__(self, other: CrossSums) -> CrossSums:
        return CrossSums(labels=self.labels + other.labels, products=self.products + other.products)


def cross_block(signs: Matrix, images: Matrix, block: VariantBlock) -> CrossSums:
    """`A_j'l_j` of a block, with `l_sk = mean_b (x_s'V_b)(x_s'S_kb)`; `images` are [S_1, .., S_K], (n, K B) [MOM-5]."""
    count = signs.shape[1]
    kinds = images.shape[1] // count
    total = np.zeros((len(block.components), kinds))
    for X, weights in weighted_blocks(block):
        along = X.T @ signs
        scores = np.einsum("sb,skb->sk", along, (X.T @ images).reshape(-1, kinds, count)) / count
        total += weights.T @ scores
    return CrossSums(labels=(block.label,), products=(total,))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSums:
    """`g_k'K_m g_l` with `g_k = MK_kMy` and `g_e = My`, per response, shape (T, K, K + 1, K + 1) [MOM-6]."""

    values: Array

    def __add__(self, other: ResponseSums) -> ResponseSums:
        return ResponseSums(values=self.values + other.values)


def response_block(images: Array, components: int, block: Block) -> ResponseSums:
    """One block's part of the sandwich; `images` are `g_1 .. g_K, g_e` of each response, (n, T, K + 1)."""
    rows, responses, width = images.shape
    values = np.zeros((responses, components, width, width))
    flat = images.reshape(rows, -1)
    if isinstance(block, KernelBlock):
        product = (block.kernel @ flat).reshape(images.shape)
        values[:, block.component] = np.einsum("ntk,ntl->tkl", images, product, optimize=True)
        return ResponseSums(values=values)
    for X, weights in weighted_blocks(block):
        W = (X.T @ flat).reshape(-1, responses, width)
        for k, component in enumerate(block.components):
            values[:, component] += np.einsum("s,stk,stl->tkl", weights[:, k], W, W, optimize=True)
    return ResponseSums(values=values)
