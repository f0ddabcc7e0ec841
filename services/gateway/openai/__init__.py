"""OpenAI's HTTP API: its bodies in, its bodies, streams and errors out."""
