"""What a fit of variance components reports."""
