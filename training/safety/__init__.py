"""Makes the safety link's classifier."""
