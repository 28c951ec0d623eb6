"""`python -m hatchway` is the `hatchway` command."""

from hatchway.cli.start import main

if __name__ == "__main__":
    main()
