"""What a caller of the mesh imports: the contracts, a client, the command line."""
