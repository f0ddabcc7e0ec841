"""The GPU engine: TensorRT-LLM's PyTorch backend, by its LLM API of versions 1.2 to 1.4."""
