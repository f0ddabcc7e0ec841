"""The mesh on one machine: which parts it has, and what keeps them running."""
