"""The filter that a completion streams through: what may leave of it, and when."""
