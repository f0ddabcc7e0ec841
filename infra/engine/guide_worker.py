"""Compiles guides, one JSON line each from standard input, and answers each with a line.

A guide that does not compile breaks the pipeline that it is given to, so it is tried here first: on
a model of next to no size that has nothing of the real one but its vocabulary.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import openvino
import openvino_genai
from openvino import Node
from openvino import opset13 as op
from openvino.op import assign, read_value
from openvino.op.util import Variable, VariableInfo

from infra.engine import spelling
from infra.engine.card import ModelCard
from infra.engine.guides import NO_GUIDE, Guide, Verdict, answer, limited, reason

_WIDTH = 8
_PROMPT = [[0]]


class Compiler:
    """Tries guides on a pipeline that may break."""

    def __init__(self, model: Path) -> None:
        self._tokenizer = openvino_genai.Tokenizer(str(model))
        self._graph = tiny_graph(ModelCard.read(model).vocabulary)
        self._pipeline: openvino_genai.ContinuousBatchingPipeline | None = None

    def verdict(self, guide: Guide) -> Verdict:
        """Compile a guide."""
        if self._pipeline is None:
            self._pipeline = self._build()
            # The first guide of a pipeline waits for the vocabulary to be taken in.
            _follow(self._pipeline, NO_GUIDE)
        try:
            with limited():
                _follow(self._pipeline, guide)
        except RuntimeError as error:
            self._pipeline = None
            return Verdict(reason(str(error)))
        return Verdict("")

    def _build(self) -> openvino_genai.ContinuousBatchingPipeline:
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.num_kv_blocks = 4
        with tempfile.TemporaryDirectory() as folder:
            openvino.save_model(self._graph, f"{folder}/openvino_model.xml")
            return openvino_genai.ContinuousBatchingPipeline(
                folder, self._tokenizer, scheduler, "CPU"
            )


def _follow(pipeline: openvino_genai.ContinuousBatchingPipeline, guide: Guide) -> None:
    config = openvino_genai.GenerationConfig()
    config.max_new_tokens = 1
    config.apply_chat_template = False
    config.structured_output_config = structured_output(guide)
    prompt = openvino.Tensor(np.array(_PROMPT, dtype=np.int64))
    # A request whose handle is gone is given up.
    handle = pipeline.add_request(0, prompt, config)
    while not handle.can_read():
        pipeline.step()


def structured_output(guide: Guide) -> openvino_genai.StructuredOutputConfig:
    """Return a guide as the engine takes it."""
    config = openvino_genai.StructuredOutputConfig()
    if guide.json_schema is not None:
        config.json_schema = spelling.json_schema(guide.json_schema)
    if guide.regex is not None:
        config.regex = spelling.regex(guide.regex)
    if guide.structural_tag is not None:
        config.structural_tags_config = spelling.structural_tag(guide.structural_tag)
    return config


def tiny_graph(vocabulary: int) -> openvino.Model:
    """Return one attention layer of one head, without any knowledge."""
    ids, positions = _parameter("input_ids", [-1, -1]), _parameter("position_ids", [-1, -1])
    mask, beam = _parameter("attention_mask", [-1, -1]), _parameter("beam_idx", [-1], np.int32)
    table = op.constant(np.zeros((vocabulary, _WIDTH), np.float32))
    heads = op.unsqueeze(op.gather(table, ids, _constant(0)), _constant(1))
    batch = op.gather(op.shape_of(ids), _constant([0]), _constant(0))
    sinks: list[Node] = []
    keys, values = (_cached(name, heads, batch, beam, sinks) for name in ("key", "value"))
    visible = op.not_equal(op.unsqueeze(mask, _constant([1, 2])), _constant(0))
    mixed = op.squeeze(op.scaled_dot_product_attention(heads, keys, values, visible), _constant(1))
    logits = op.matmul(mixed, table, transpose_a=False, transpose_b=True)
    logits.output(0).set_names({"logits"})
    return openvino.Model([op.result(logits)], sinks, [ids, mask, positions, beam], "tiny")


def _cached(name: str, new: Node, batch: Node, beam: Node, sinks: list[Node]) -> Node:
    info = VariableInfo()
    info.data_shape = openvino.PartialShape([-1, 1, -1, _WIDTH])
    info.data_type = openvino.Type.f32
    info.variable_id = name
    variable = Variable(info)
    empty = op.broadcast(
        op.constant(np.float32(0)), op.concat([batch, _constant([1, 0, _WIDTH])], 0)
    )
    past = op.gather(read_value(empty, variable), beam, _constant(0))
    together = op.concat([past, new], 2)
    sinks.append(assign(together, variable))
    return together


def _parameter(name: str, dims: list[int], dtype: type[np.generic] = np.int64) -> Node:
    node = op.parameter(dims, dtype)
    node.set_friendly_name(name)
    node.output(0).set_names({name})
    return node


def _constant(value: int | list[int]) -> Node:
    return op.constant(np.array(value, np.int64))


def main() -> None:
    """Answer until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    answer(Compiler(parser.parse_args().model).verdict)


if __name__ == "__main__":
    main()
