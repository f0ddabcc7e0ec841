"""Makes a folder that the CPU engine serves from whatever form a model comes in."""
