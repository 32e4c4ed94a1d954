"""Mixtures of random effects: `y_g = b_g x_g + e_g`, b from a mixture of normals [SLOPE-1]."""
