"""The tensors on the wire, and what is written for Triton."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from infra.engine.failure import Failure, Reason
from infra.engine.vocabulary import Vocabulary
from infra.triton import contract, repository, server
from infra.triton.contract import Value
from services import config
from services.inference import triton

POCKET = Path(config.POCKET.path)
VALUES = {
    "INT32": st.integers(-(2**31), 2**31 - 1),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "UINT64": st.integers(0, 2**64 - 1),
    "FP32": st.floats(width=32, allow_nan=False),
}


@given(st.data())
def test_values_survive_the_wire(data: st.DataObject) -> None:
    tensors = {**contract.INPUTS, **contract.OUTPUTS}
    tensor = tensors[data.draw(st.sampled_from(sorted(tensors)))]
    value: Value
    if tensor.is_json:
        value = data.draw(st.lists(st.text()))
    elif tensor.datatype == "UINT8":
        value = data.draw(st.text())
    elif tensor.one:
        value = data.draw(VALUES[tensor.datatype])
    else:
        value = list(data.draw(st.lists(st.integers(0, 100))))
    elements, encoded = contract.encode(tensor, value)
    assert contract.decode(tensor, encoded) == value
    assert elements >= 0


def test_a_token_with_fewer_rivals_than_others_is_read_back() -> None:
    response = service_pb2.ModelInferResponse()
    values: dict[str, Value] = {
        contract.TEXT: "ab",
        contract.TOKEN_IDS: [301, 302],
        contract.LOGPROBS: [-0.5, -0.25],
        contract.TOP_TOKEN_IDS: [301, 303, 302, -1],
        contract.TOP_LOGPROBS: [-0.5, -2.0, -0.25, 0.0],
        contract.CACHED_INPUT_TOKENS: 7,
    }
    for name, value in values.items():
        _, data = contract.encode(contract.OUTPUTS[name], value)
        response.outputs.add(name=name)
        response.raw_output_contents.append(data)
    piece = triton._piece(response, Vocabulary.read(POCKET / "tokenizer.json"))
    assert [[rival.logprob for rival in each.top] for each in piece.logprobs] == [
        [-0.5, -2.0],
        [-0.25],
    ]
    assert piece.cached_input_tokens == 7


def test_one_element_is_not_two() -> None:
    _, encoded = contract.encode(contract.INPUTS[contract.INPUT_IDS], [1, 2])
    with pytest.raises(ValueError, match="one element"):
        contract.decode(contract.INPUTS["n"], encoded)


@given(
    st.sampled_from(Reason),
    st.text(),
    st.none() | st.integers(0, 60_000).map(lambda ms: ms / 1000),
    st.sampled_from(["", *contract.INPUTS]),
)
def test_failures_survive_the_wire(
    reason: Reason, message: str, retry_after_s: float | None, field: str
) -> None:
    failure = Failure(reason, message, retry_after_s, field)
    assert contract.parse_failure(contract.failure(failure)) == failure


def test_triton_s_own_words_are_no_failure_of_ours() -> None:
    assert contract.parse_failure("Stub process 'pocket_0_0' is not healthy.") is None
    assert contract.parse_failure("ERROR: something") is None


def test_a_model_without_its_facts_is_refused(tmp_path: Path) -> None:
    model = repository.ServedModel("empty", tmp_path, 1, 1, 16, 0.02)
    with pytest.raises(OSError, match=r"config\.json"):
        repository.write(tmp_path / "models", [model], sys.executable, "")


def test_triton_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    command = server.command(server.Ports(1, 2, 3), tmp_path, tmp_path, 5)
    addresses = [argument for argument in command if "address=" in argument]
    assert len(addresses) == 3
    assert all(argument.endswith("=127.0.0.1") for argument in addresses)


def test_the_server_s_libraries_are_found() -> None:
    command = server.command(server.Ports(1, 2, 3), Path(), Path(), 5)
    shown = subprocess.run(
        [command[0], "--help"],
        env=server.environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "--model-repository" in shown.stdout + shown.stderr
