"""The detector of secrets: keys, tokens and passwords."""
