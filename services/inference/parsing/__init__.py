"""A model's text, read as it comes: thoughts, calls of tools, and what is said."""
