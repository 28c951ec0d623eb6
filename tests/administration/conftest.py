"""Installations, as the tests of the commands make them."""

from tests.cli.conftest import installation, installed, opened, template

__all__ = ["installation", "installed", "opened", "template"]
