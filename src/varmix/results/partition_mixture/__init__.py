"""What is told about a fit of latent partitions."""
