"""How the models in this repository are made."""
