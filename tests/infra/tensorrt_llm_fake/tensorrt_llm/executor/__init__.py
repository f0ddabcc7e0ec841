from tensorrt_llm.executor.request import LoRARequest
from tensorrt_llm.executor.result import CompletionOutput, Logprob, RequestError

__all__ = ["CompletionOutput", "LoRARequest", "Logprob", "RequestError"]
