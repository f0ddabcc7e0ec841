"""Texts as vectors: a small BERT on the CPU, batched across whoever asks at once."""
