"""Our models on TensorRT-LLM, in NVIDIA's Triton image: see infra/triton/GPU.md."""
