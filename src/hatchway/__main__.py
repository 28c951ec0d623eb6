"""`python -m hatchway` is the `hatchway` command."""

from hatchway.cli.main import main

if __name__ == "__main__":
    main()
