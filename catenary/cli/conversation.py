"""A conversation with a model: its turns so far, and the next one."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console

from catenary.cli.answer import Answer
from catenary.client import Client
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2, models_pb2


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns so far, and whom they are held with."""

    client: Client
    model: str
    messages: list[message_pb2.Message] = field(default_factory=list[message_pb2.Message])

    @classmethod
    async def begin(cls, address: str, model: str | None, system: str | None) -> Self:
        """Connect to a mesh; without a model, the first that it serves is asked.

        Raises:
            CallError: the mesh does not answer.
        """
        client = Client(address)
        try:
            name = model or _first(await client.models())
        except BaseException:
            await client.close()
            raise
        return cls(client, name, [_message(message_pb2.ROLE_SYSTEM, system)] if system else [])

    def forget(self) -> None:
        """Drop the turns so far; what the model was told to be stays."""
        self.messages[:] = [turn for turn in self.messages if turn.role == message_pb2.ROLE_SYSTEM]

    async def ask(self, question: str, text: Console, notes: Console) -> None:
        """Write the answer to one console and its ledger to the other.

        Raises:
            CallError: the generation failed; the turn does not count.
        """
        turn = _message(message_pb2.ROLE_USER, question)
        answer = Answer()
        request = pb.GenerateRequest(
            model=self.model,
            messages=[*self.messages, turn],
            controls=pb.Controls(include_decisions=True),
        )
        await answer.stream(self.client, request, text)
        answer.show_ledger(notes)
        self.messages.extend([turn, _message(message_pb2.ROLE_ASSISTANT, answer.text)])


def _first(models: Sequence[models_pb2.Model]) -> str:
    """Return the first model that answers in text, where one says so."""
    names = [model.name for model in models if "chat" in model.capabilities]
    return names[0] if names else models[0].name


def _message(role: message_pb2.Role.ValueType, text: str) -> message_pb2.Message:
    return message_pb2.Message(role=role, content=[message_pb2.ContentPart(text=text)])
