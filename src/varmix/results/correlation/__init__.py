"""What a genetic correlation reports."""
