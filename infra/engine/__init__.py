"""The engine in a process of its own: who is admitted, how tokens become text, what runs them."""
