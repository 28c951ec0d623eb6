"""Options of the commands that talk to the API, and how their errors become this program's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hatchway.client.api.profile import ProfileOptions

ProfileName = Annotated[str | None, typer.Option(metavar="NAME", help="The AWS profile to use.")]
Region = Annotated[str | None, typer.Option(metavar="NAME", help="The region.")]
EndpointUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The API's URL; else AWS_ENDPOINT_URL or the profile's endpoint_url."),
]
CaBundle = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="CA certificates to trust; else AWS_CA_BUNDLE or the profile's."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerArguments:
    """As whom, and where, a command calls the API."""

    profile: ProfileName = None
    region: Region = None
    endpoint_url: EndpointUrl = None
    ca_bundle: CaBundle = None

    @property
    def given(self) -> bool:
        """Whether any of them was."""
        return self != CallerArguments()

    def options(self) -> "ProfileOptions":
        from hatchway.client.api.profile import ProfileOptions

        return ProfileOptions(
            profile=self.profile,
            region=self.region,
            endpoint_url=self.endpoint_url,
            ca_bundle=self.ca_bundle,
        )


@contextmanager
def administration_errors() -> Iterator[None]:
    """The same for a command that could as well work on the store, on the server: where nothing says which
    API to ask, that may be what is missing."""
    from hatchway.client.errors import NotConfigured
    from hatchway.errors import BadUsage

    with client_errors():
        try:
            yield
        except NotConfigured as lacking:
            raise BadUsage(f"{lacking}; or run this on the server, and give --data-dir DIR") from lacking


@contextmanager
def client_errors() -> Iterator[None]:
    """Turns the client's errors into this program's, without what only a server's errors need."""
    from hatchway.client.errors import ClientError

    try:
        yield
    except ClientError as problem:
        from hatchway.cli.ending import failure_of_client

        raise failure_of_client(problem) from problem
