"""The engine, and NVIDIA Triton round it: tensors in, text out, one stream a generation."""
