"""Prompt injection and harmful content, told by one small encoder and by the words themselves."""
