"""The command line `latte-ase`, one module per command."""
