"""What stands for something that was blotted out."""

_UNSEEN = {"zero_width", "variation_selector", "tag", "direction", "private_use", "control"}
"""The categories of characters that nobody sees: nothing stands for them."""


def mark(category: str) -> str:
    """Return the mark for a category, for example `[REDACTED:API_KEY]`.

    It is no placeholder: nothing turns it back, and no name of one can look like it.
    """
    if category in _UNSEEN:
        return ""
    return f"[REDACTED:{category.upper()}]"
