"""Latent partitions of cell types: which of them share the expression of a gene [PART-1]."""
