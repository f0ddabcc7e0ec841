"""The ways in which a text may hide another: each a function from a text to its changed parts."""
