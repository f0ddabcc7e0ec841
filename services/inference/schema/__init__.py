"""JSON Schemas that an engine is held to."""
