import numpy as np
import openvino as ov

from infra.models import config, safetensors
from infra.models.architecture import architecture
from infra.models.graph import build
from infra.models.tensors import Array
from tests.models import reference
from training.pocket.shape import FOLDER
from training.pocket.weights import read_weights

IDS = [1, 4, *range(300, 330), 2, 5]
SHAPE = architecture(config.read(FOLDER), FOLDER)


def infer(request: ov.InferRequest, ids: list[int], seen: int) -> Array:
    """The logits of `ids`, of which `seen` came before in the same sequence."""
    total = seen + len(ids)
    outputs = request.infer(
        {
            "input_ids": np.array([ids]),
            "attention_mask": np.ones((1, total), np.int64),
            "position_ids": np.arange(seen, total)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
    )
    logits: Array = outputs["logits"][0]
    return logits


def start() -> ov.InferRequest:
    core = ov.Core()
    exact = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
    model = core.read_model(FOLDER / "openvino_model.xml")
    return core.compile_model(model, "CPU", exact).create_infer_request()


def test_graph_computes_what_the_definition_says() -> None:
    expected = reference.logits(read_weights(FOLDER), SHAPE, IDS)
    difference = np.abs(infer(start(), IDS, 0) - expected)
    assert difference.mean() < 0.05 * np.abs(expected).mean()


def test_graph_remembers_what_it_has_read() -> None:
    whole = infer(start(), IDS, 0)
    request = start()
    infer(request, IDS[:20], 0)
    pieces = infer(request, IDS[20:], 20)
    assert np.allclose(whole[20:], pieces, atol=0.05 * np.abs(whole).mean())


def test_stored_graph_is_made_from_the_stored_weights() -> None:
    made = build(safetensors.read(FOLDER), SHAPE)
    stored = ov.Core().read_model(FOLDER / "openvino_model.xml")
    assert constants(made) == constants(stored)


def constants(model: ov.Model) -> list[bytes]:
    nodes = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sorted(node.get_data().tobytes() for node in nodes)
