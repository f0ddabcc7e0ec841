"""XGrammar's compiler, by the names that it has there; OpenVINO brings the same one along."""

from pathlib import Path

from infra.engine import guide_worker
from infra.engine.guides import Guide

_POCKET = Path(__file__).resolve().parents[4] / "models" / "pocket"


class TokenizerInfo:
    def __init__(
        self,
        encoded_vocab: list[bytes] | list[str],
        vocab_type: object = None,
        *,
        vocab_size: int | None = None,
        stop_token_ids: list[int] | int | None = None,
        add_prefix_space: bool = False,
    ) -> None:
        assert encoded_vocab


class GrammarCompiler:
    _compiler: guide_worker.Compiler | None = None

    def __init__(
        self,
        tokenizer_info: TokenizerInfo,
        *,
        max_threads: int = 8,
        cache_enabled: bool = True,
        cache_limit_bytes: int = -1,
    ) -> None:
        assert isinstance(tokenizer_info, TokenizerInfo)
        GrammarCompiler._compiler = self._compiler or guide_worker.Compiler(_POCKET)

    def compile_json_schema(self, schema: str, *, any_whitespace: bool = True) -> None:
        self._compile(Guide(json_schema=schema))

    def compile_regex(self, regex: str) -> None:
        self._compile(Guide(regex=regex))

    def compile_structural_tag(self, structural_tag: str) -> None:
        self._compile(Guide(structural_tag=structural_tag))

    def _compile(self, guide: Guide) -> None:
        assert self._compiler is not None
        problem = self._compiler.verdict(guide).problem
        if problem:
            raise RuntimeError(f"[10:00:00] /xgrammar/cpp/x.cc:1: {problem}")
