"""What a fit by randomised moments reports."""
