"""Independent groups, random slopes, likelihood weights: `y_g ~ N(W_g w, sum v_k x_gk x_gk' + s I)` [SLOPE-7]."""
