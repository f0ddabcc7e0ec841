"""The LLM API, as far as the engine may use it."""

import os

__version__ = {"1.2": "1.2.1", "1.4": "1.4.0rc1"}[os.environ.get("FAKE_TENSORRT_LLM", "1.2")]

from tensorrt_llm.llmapi import LLM, SamplingParams

__all__ = ["LLM", "SamplingParams", "__version__"]
