"""Compiles guides for TensorRT-LLM, one JSON line each from standard input; answers each by a line.

It uses the compiler that TensorRT-LLM uses, on the model's own vocabulary: what takes long here
takes long in the engine, where everybody would wait for it.
"""

import argparse
from pathlib import Path

import xgrammar

from infra.engine.guides import Guide, Verdict, answer, limited, reason
from infra.engine.vocabulary import Vocabulary


class Compiler:
    """Tries guides."""

    def __init__(self, model: Path) -> None:
        words = Vocabulary.read(model / "tokenizer.json")
        self._vocabulary = xgrammar.TokenizerInfo(list(words.tokens))

    def verdict(self, guide: Guide) -> Verdict:
        """Compile a guide."""
        # A compiler keeps all that it has compiled; the answers are remembered elsewhere.
        compiler = xgrammar.GrammarCompiler(self._vocabulary, cache_enabled=False)
        try:
            with limited():
                if guide.json_schema is not None:
                    compiler.compile_json_schema(guide.json_schema)
                elif guide.regex is not None:
                    compiler.compile_regex(guide.regex)
                else:
                    compiler.compile_structural_tag(guide.structural_tag)
        except RuntimeError as error:
            return Verdict(reason(str(error)))
        return Verdict("")


def main() -> None:
    """Answer until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    answer(Compiler(parser.parse_args().model).verdict)


if __name__ == "__main__":
    main()
