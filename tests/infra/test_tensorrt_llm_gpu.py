"""What is written for a machine with GPUs: the examples, the repository, the way Triton starts."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from google.protobuf import json_format
from tritonclient.grpc import service_pb2, service_pb2_grpc

from catenary.config.v1 import models_pb2
from infra.triton import contract, gpu, server
from services.config import POCKET
from tests.infra.conftest import free_port
from tests.infra.test_tensorrt_llm import FAKE, forget

FOLDER = Path(gpu.__file__).parent
EXAMPLES = json_format.ParseDict(
    yaml.safe_load((FOLDER / "models.yaml").read_text()), models_pb2.ModelsConfig()
)
MODELS = {model.name: model for model in EXAMPLES.models}
LATER = {"llama-405b"}
"""What only later versions take."""


@pytest.fixture(params=["1.2", "1.4"])
def version(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_TENSORRT_LLM", request.param)
        patch.syspath_prepend(str(FAKE))
        forget()
        yield request.param
        forget()


def loaded(engine_args: Mapping[str, Any], adapters: Mapping[str, Path] | None = None) -> Any:
    """Return what the library makes of the arguments; nothing is loaded."""
    module = importlib.import_module("infra.engine.tensorrt_llm.arguments")
    llm_args = importlib.import_module("tensorrt_llm.llmapi.llm_args")
    return llm_args.TorchLlmArgs(
        **module.arguments(Path("/models/some"), 64, engine_args, adapters or {})
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_library_takes_the_examples(name: str, version: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 16}')
    adapters = dict.fromkeys(MODELS[name].adapters, tmp_path)
    engine_args = json_format.MessageToDict(MODELS[name].engine_args)
    if version == "1.2" and name in LATER:
        with pytest.raises(ValueError, match="waiting_queue_policy"):
            loaded(engine_args, adapters)
        return
    taken = loaded(engine_args, adapters)
    assert taken.enable_chunked_prefill
    assert taken.enable_iter_perf_stats
    assert taken.kv_cache_config.enable_block_reuse
    assert taken.guided_decoding_backend == "xgrammar"
    assert taken.max_batch_size == 64
    assert taken.enable_lora == bool(adapters)


@pytest.mark.usefixtures("version")
def test_the_configuration_s_arguments_stand_over_ours() -> None:
    taken = loaded(
        {
            "max_batch_size": 8.0,
            "tensor_parallel_size": 4.0,
            "kv_cache_config": {"dtype": "fp8"},
            "model_kwargs": {"num_hidden_layers": 2.0, "rope_theta": 0.5, "sizes": [4.0]},
        }
    )
    assert (taken.max_batch_size, taken.tensor_parallel_size) == (8, 4)
    assert taken.kv_cache_config.dtype == "fp8"
    assert taken.kv_cache_config.free_gpu_memory_fraction == 0.85
    # The library looks into these no further, so they must come as what they are.
    assert repr(taken.model_kwargs) == "{'num_hidden_layers': 2, 'rope_theta': 0.5, 'sizes': [4]}"


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    "wrong",
    [
        {"tensor_paralel_size": 2},
        {"kv_cache_config": {"dtyp": "fp8"}},
        {"speculative_config": {"decoding_type": "NGram", "max_draft": 4}},
        {"quant_config": {"quant_algo": "FP8"}},
    ],
)
def test_an_argument_that_there_is_not_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape("_")):
        loaded(wrong)


@pytest.mark.usefixtures("version")
def test_an_adapter_without_its_rank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"adapter_config\.json"):
        loaded({}, {"legal": tmp_path})


def launch(folder: Path, programs: Mapping[str, str], **environment: str) -> subprocess.Popen[str]:
    """Start `launch.sh` with the pocket model; programs of the test's own come first on PATH."""
    (folder / "models.yaml").write_text(
        "models:\n"
        f"  - {{name: pocket, path: {POCKET.path}, engine: tensorrt_llm,\n"
        "     engine_args: {max_num_tokens: 4096, kv_cache_config: {dtype: fp8}}}\n"
    )
    for name, text in programs.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        [FOLDER / "launch.sh", folder / "models.yaml"],
        env={**os.environ, "PATH": path, "TMPDIR": str(folder), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_model_of_several_gpus_is_started_under_mpirun(tmp_path: Path) -> None:
    process = launch(tmp_path, {"mpirun": 'echo "$@"'}, RANKS="8")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.startswith("--allow-run-as-root -n 8 trtllm-llmapi-launch tritonserver ")


def test_triton_serves_what_the_script_has_written(tmp_path: Path) -> None:
    backends, ports = tmp_path / "backends", server.Ports(*(free_port() for _ in range(3)))
    server.link_backend(backends)
    own = shlex.join(
        part
        for part in server.command(ports, tmp_path, backends, 5)
        if not part.startswith(("--model-repository", "--disable", "--grpc-header", "--exit"))
    )
    environment = server.environment({"FAKE_TENSORRT_LLM": "1.4", "PYTHONPATH": str(FAKE)})
    process = launch(
        tmp_path,
        {
            "tritonserver": f'exec env LD_LIBRARY_PATH={environment["LD_LIBRARY_PATH"]} {own} "$@"',
        },
        **{key: environment[key] for key in ("FAKE_TENSORRT_LLM", "PYTHONPATH")},
    )
    try:
        with grpc.insecure_channel(f"127.0.0.1:{ports.grpc}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            asked = service_pb2.ModelConfigRequest(name="pocket")
            config = stub.ModelConfig(asked, wait_for_ready=True, timeout=60).config
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert config.model_transaction_policy.decoupled
    assert {each.name for each in config.input} == set(contract.INPUTS)
    assert config.parameters["engine"].string_value == "tensorrt_llm"
    assert process.returncode == 0
