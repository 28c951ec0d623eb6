"""Installations and servers, as the tests of the commands make them."""

from tests.cli.conftest import installed, serve, template

__all__ = ["installed", "serve", "template"]
