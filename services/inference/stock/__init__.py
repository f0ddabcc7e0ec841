"""Clients of the models that NVIDIA ships for Triton, as teams already run them."""

from services.inference.stock.client import client

__all__ = ["client"]
