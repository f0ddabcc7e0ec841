"""Clients of the models that NVIDIA ships for Triton, as teams already run them."""

from services.inference.stock.client import client

ENGINES = ("llmapi", "ensemble", "vllm")
"""The engines, by the names of models.yaml, that these clients speak to."""

__all__ = ["ENGINES", "client"]
