"""What a model in somebody's Triton really is, by its own configuration."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from tritonclient.grpc import model_config_pb2, service_pb2

from catenary.v1.error_reason_pb2 import ERROR_REASON_UPSTREAM_FAILED
from services import errors
from services.errors import MeshError
from services.inference.stock import failures
from services.link import Call
from services.tracing import Tracing

_log = logging.getLogger(__name__)

_METHOD = "/inference.GRPCInferenceService/ModelConfig"
_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model, as its Triton has it."""

    inputs: Mapping[str, str]
    """The datatype of each input."""
    outputs: Mapping[str, str]
    """The datatype that each output is said to have; not always what is sent."""
    is_batched: bool
    """Its tensors have a first dimension of requests."""
    is_decoupled: bool
    """It can give several responses to one request, and so stream."""
    priority_levels: int
    """How many priorities its queue knows, 1 the highest; 0 when it knows none."""
    parameters: Mapping[str, str]

    @classmethod
    def read(cls, config: model_config_pb2.ModelConfig) -> "Deployment":
        """Read a model's configuration."""
        return cls(
            inputs={each.name: _datatype(each.data_type) for each in config.input},
            outputs={each.name: _datatype(each.data_type) for each in config.output},
            is_batched=config.max_batch_size > 0,
            is_decoupled=config.model_transaction_policy.decoupled,
            priority_levels=config.dynamic_batching.priority_levels,
            parameters={key: each.string_value for key, each in config.parameters.items()},
        )


def _datatype(data_type: int) -> str:
    name = model_config_pb2.DataType.Name(data_type).removeprefix("TYPE_")
    return "BYTES" if name == "STRING" else name


@dataclass(slots=True)
class Directory:
    """Asks Triton about one model, when it is first needed and after it has failed."""

    channel: grpc.aio.Channel
    tracing: Tracing
    model: str
    """What callers know it by."""
    name: str
    """Its name in Triton."""
    contract: str
    """The contract that it is said to speak."""
    inputs: Mapping[str, str]
    """The inputs, with their datatypes, without which it does not."""
    outputs: Mapping[str, str]
    _known: Deployment | None = field(default=None, init=False)

    async def deployment(self, call: Call) -> Deployment:
        """Return what the model is.

        Raises:
            MeshError: Triton cannot be reached, or does not serve the model; or the model does not
                speak the contract, and which tensor shows it.
        """
        if self._known is None:
            found = await self._ask(call)
            self._check("input", self.inputs, found.inputs)
            self._check("output", self.outputs, found.outputs)
            self._known = found
        return self._known

    def forget(self) -> None:
        """Ask again next time: another model may stand there by then."""
        self._known = None

    async def _ask(self, call: Call) -> Deployment:
        ask = self.channel.unary_unary(
            _METHOD,
            request_serializer=service_pb2.ModelConfigRequest.SerializeToString,
            response_deserializer=service_pb2.ModelConfigResponse.FromString,
        )
        remaining = call.time_remaining()
        is_patient = remaining is None or remaining > _ANSWER_S
        with self.tracing.under(call.trace):
            rpc = ask(
                service_pb2.ModelConfigRequest(name=self.name),
                timeout=_ANSWER_S if is_patient else remaining,
                metadata=list(call.trace.items()),
            )
        try:
            answer = await rpc
        except grpc.aio.AioRpcError as error:
            if is_patient and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise errors.upstream_unreachable(failures.TRITON) from None
            raise failures.from_rpc(self.model, error) from None
        return Deployment.read(answer.config)

    def mismatch(self, kind: str, name: str, form: str) -> MeshError:
        """Build the error for a model that lacks a tensor, or has it in another form."""
        problem = (
            f"the model {self.name!r} in triton does not speak the contract of"
            f" {self.contract!r}: it has no {kind} {name!r} {form}"
        )
        _log.error("%s", problem)
        metadata = {"upstream": failures.TRITON, "tensor": name}
        return MeshError(ERROR_REASON_UPSTREAM_FAILED, problem, metadata)

    def _check(self, kind: str, wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
        for name, datatype in wanted.items():
            if found.get(name) != datatype:
                raise self.mismatch(kind, name, f"of type {datatype}")
