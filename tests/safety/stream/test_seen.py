"""What detectors are shown before a piece of a text."""

from services.safety.stream.seen import CONTEXT, Seen


def test_of_a_long_finding_the_beginning_is_shown_and_whole_lines_of_the_end() -> None:
    lines = [f"{number} {'x' * 40}" for number in range(100)]
    text = "\n".join(lines)
    seen = Seen("")
    seen.text = text
    seen.change(0, len(text), goes_on=False)
    shown = seen.before(len(text))
    assert shown.split("\n")[0] == lines[0]
    assert shown.split("\n")[-2:] == lines[-2:]
    assert set(shown.split("\n")) < set(lines)
    seen.forget(len(text), len(text))
    assert len(seen.text) == CONTEXT
    assert seen.before(len(text)) == shown


def test_behind_a_finding_only_what_stands_right_before_is_shown() -> None:
    seen = Seen("it began so, ")
    seen.text += "x" * 2000
    seen.change(5, 900, goes_on=False)
    assert seen.before(0) == "it began so, "
    assert len(seen.before(901)) == CONTEXT
    assert len(seen.before(900)) > CONTEXT
