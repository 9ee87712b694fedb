"""`python -m latte_ase.cli` is `latte-ase`."""

from latte_ase.cli.app import main

if __name__ == "__main__":
    main()
