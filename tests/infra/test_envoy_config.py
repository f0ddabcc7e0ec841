from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from infra.envoy import render
from services.chain import ORDER
from tests.infra.conftest import limits

SINGLE = {"gateway": ["127.0.0.1:50051"]}
SPLIT = {link: [f"127.0.0.1:{50051 + i}", f"127.0.0.1:{50061 + i}"] for i, link in enumerate(ORDER)}
VARIANTS = {
    "single": render.Envoy(8080, 9901, SINGLE, limits(), Path("descriptors")),
    "split": render.Envoy(8080, 9901, SPLIT, limits(), Path("descriptors"), mesh_port=8090),
    "otlp": render.Envoy(
        8080, 9901, SPLIT, limits(), Path("d"), 8090, otlp_endpoint="http://127.0.0.1:4317"
    ),
    "otlp-tls": render.Envoy(
        8080, 9901, SINGLE, limits(), Path("d"), otlp_endpoint="https://collector.example:4317"
    ),
    "every-address": render.Envoy(8080, 9901, SINGLE, limits(), Path("d"), host="0.0.0.0"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_envoy_accepts_every_variant(variant: str, tmp_path: Path, descriptors: Path) -> None:
    envoy = replace(VARIANTS[variant], descriptors=descriptors)
    config = tmp_path / "envoy.yaml"
    config.write_text(render.render(envoy))
    render.validate(config)


def test_a_refused_config_says_why(tmp_path: Path) -> None:
    config = tmp_path / "envoy.yaml"
    config.write_text("admin: {adress: here}")
    with pytest.raises(ValueError, match="adress"):
        render.validate(config)


def test_every_replica_is_in_its_links_cluster() -> None:
    config = yaml.safe_load(render.render(VARIANTS["split"]))
    clusters = {
        cluster["name"]: [
            endpoint["endpoint"]["address"]["socket_address"]["port_value"]
            for endpoint in cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        ]
        for cluster in config["static_resources"]["clusters"]
    }
    assert clusters == {link: [50051 + i, 50061 + i] for i, link in enumerate(ORDER)}


def test_one_process_needs_no_mesh_listener() -> None:
    config = yaml.safe_load(render.render(VARIANTS["single"]))
    assert [listener["name"] for listener in config["static_resources"]["listeners"]] == ["edge"]


def test_descriptors_are_complete_and_in_order() -> None:
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(render.descriptors()).file:
        pool.Add(file)
    for name in ("catenary.v1.OpenAI", "catenary.v1.Generation", "catenary.v1.Models"):
        assert pool.FindServiceByName(name)
    for name in ("google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.RetryInfo"):
        assert pool.FindMessageTypeByName(name)
