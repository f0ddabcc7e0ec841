"""The five links of the mesh, and what they share."""
