"""One answer in the terminal: its text as it comes, then its ledger."""

import time
from contextlib import aclosing
from dataclasses import dataclass, field

from rich.console import Console

from catenary.cli import ledger
from catenary.client import Client
from catenary.v1 import generation_pb2 as pb
from catenary.v1 import message_pb2

# A model must not steer the terminal: of the control characters only these two may pass.
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


@dataclass(slots=True)
class Answer:
    """What has come of an answer so far."""

    asked_at: float = field(default_factory=time.perf_counter)
    text: str = ""
    entries: list[ledger.Entry] = field(default_factory=list[ledger.Entry])
    first_token_s: float | None = None
    last_token_s: float = 0.0
    output_tokens: int = 0
    is_cut: bool = False
    """The safety policy did not let it end."""

    async def stream(self, client: Client, request: pb.GenerateRequest, text: Console) -> None:
        """Write the answer as it comes; what has come stays here if it fails or is cancelled.

        Raises:
            CallError: the generation failed.
        """
        try:
            async with aclosing(client.generate(request)) as events:
                async for event in events:
                    self._take(event, text)
        finally:
            if self.text:
                text.print()

    def _take(self, event: pb.GenerateResponse, text: Console) -> None:
        after_s = time.perf_counter() - self.asked_at
        kind = event.WhichOneof("event")
        if kind == "delta":
            self.first_token_s = self.first_token_s or after_s
            self.last_token_s = after_s
            self.text += event.delta.text
            # As it is: neither markup, nor colours of Rich's own, nor lines broken by it.
            text.out(event.delta.text.translate(_CONTROLS), end="", highlight=False)
            text.file.flush()
        elif kind == "decision":
            self.entries.append((after_s, event.decision))
        elif kind == "finished":
            self.output_tokens = event.finished.usage.output_tokens
            reasons = [choice.finish_reason for choice in event.finished.choices]
            self.is_cut = message_pb2.FINISH_REASON_CONTENT_FILTER in reasons

    def show_ledger(self, console: Console) -> None:
        """Write the ledger, how fast the answer was, and whether it was cut."""
        console.print(ledger.table(self.entries))
        if self.first_token_s is not None:
            console.print(
                f"first token after {self.first_token_s * 1000:.1f} ms; "
                f"{self.output_tokens} tokens in {self.last_token_s * 1000:.1f} ms, "
                f"{self.output_tokens / self.last_token_s:.0f} tokens/s",
                style="dim",
                highlight=False,
            )
        if self.is_cut:
            console.print("the safety policy cut the answer here", style="red", highlight=False)
