"""The real parts that the mesh runs on: Envoy, Triton, and what starts them."""
