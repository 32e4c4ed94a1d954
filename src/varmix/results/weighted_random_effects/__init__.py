"""What a fit of independent groups with likelihood weights reports."""
