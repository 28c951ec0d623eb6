"""Options of the commands that talk to the API, and how their errors become this program's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hatchway.client.profile import ProfileOptions

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


def profile_options(
    profile: str | None, region: str | None, endpoint_url: str | None, ca_bundle: str | None
) -> "ProfileOptions":
    from hatchway.client.profile import ProfileOptions

    return ProfileOptions(profile=profile, region=region, endpoint_url=endpoint_url, ca_bundle=ca_bundle)


@contextmanager
def client_errors() -> Iterator[None]:
    """Turns the client's errors into this program's, without what only a server's errors need."""
    from hatchway.client.errors import ClientError

    try:
        yield
    except ClientError as problem:
        from hatchway.failures import failure_of

        raise failure_of(problem) or problem from problem
