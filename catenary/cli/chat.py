"""`catenary chat`: talks to a model in the terminal, and shows what each link did."""

import asyncio
import contextlib
import sys
from typing import Annotated

import grpc
import typer
from rich.console import Console

from catenary.cli.conversation import Conversation
from catenary.cli.options import DEFAULT_ADDRESS, Address
from catenary.client import CallError


def chat(
    prompt: Annotated[
        str | None,
        typer.Argument(help="One question; without it, a conversation begins, a line each turn."),
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    model: Annotated[
        str | None,
        typer.Option(help="The model to ask.", show_default="the first that the mesh serves"),
    ] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told to be.")] = None,
) -> None:
    """Stream answers, each with the ledger of what the links decided; Ctrl-C stops an answer."""
    # Answers go to standard output and the rest to standard error, so that a pipe gets text only.
    text, notes = Console(), Console(stderr=True)
    with asyncio.Runner() as runner:
        try:
            conversation = runner.run(Conversation.begin(address, model, system))
            try:
                if prompt is None:
                    _converse(runner, conversation, text, notes)
                else:
                    runner.run(conversation.ask(prompt, text, notes))
            finally:
                runner.run(conversation.client.close())
        except CallError as error:
            _show(error, notes)
            raise typer.Exit(1) from None


def _converse(
    runner: asyncio.Runner, conversation: Conversation, text: Console, notes: Console
) -> None:
    # Gives `input` a line to edit and a history, where Python was built with it.
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415
    # From a pipe come questions, a line each, and there is nobody to prompt.
    is_person = sys.stdin.isatty()
    if is_person:
        greeting = f"talking to {conversation.model}; Ctrl-C stops an answer, Ctrl-D ends"
        notes.print(greeting, style="dim")
    while True:
        try:
            question = input("> " if is_person else "")
        except (EOFError, KeyboardInterrupt):
            notes.print()
            return
        if not question.strip():
            continue
        try:
            runner.run(conversation.ask(question, text, notes))
        except KeyboardInterrupt:
            notes.print("stopped", style="dim")
        except CallError as error:
            _show(error, notes)
            if error.reason == "CONTEXT_WINDOW_EXCEEDED":
                conversation.forget()
                notes.print("the conversation has become too long; it starts anew", style="dim")


def _show(error: CallError, notes: Console) -> None:
    if error.reason:
        line = f"{error.reason}: {error}"
    elif error.code == grpc.StatusCode.UNAVAILABLE:
        line = "no mesh answers there; `make up` starts one"
    else:
        line = f"{error.code.name}: {error}"
    notes.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
