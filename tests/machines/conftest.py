"""An installation with machines that joined, and servers, as the tests of the commands make them."""

from tests.cli.conftest import installed, serve, template
from tests.machines.site import at_once, site

__all__ = ["at_once", "installed", "serve", "site", "template"]
