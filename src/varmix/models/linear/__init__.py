"""Variance components: `y ~ N(Zw, sum_k s_k K_k + s_e I)`."""
