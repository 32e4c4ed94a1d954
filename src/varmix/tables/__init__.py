"""Every input as a labelled table, joined once: files, frames, chunks, ids, and checks of numbers."""
