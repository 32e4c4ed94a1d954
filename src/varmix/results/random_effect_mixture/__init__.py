"""What a fit of a mixture of random effects reports."""
