"""Who is calling, and where: credentials, region, endpoint URL and CA bundle, found as every AWS tool does.

What stands in the environment or the shared files in so many words, `shared_files` reads. All else botocore
finds: roles, SSO, processes, services' own URLs, and what is wrong with any of it (AWS SDKs and Tools
Reference Guide, "Settings reference" and "Service-specific endpoints").
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from hatchway.client.api.shared_files import Credentials, find_simple
from hatchway.client.errors import (
    NO_API,
    ApiError,
    ClientError,
    NotConfigured,
    printable,
)
from hatchway.domain.ids import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.client.api.api_client import ApiClient
    from hatchway.client.api.shared_files import Simple
    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.connection.tls import Trust

NO_CREDENTIALS = (
    "no credentials are configured: give --profile (or AWS_PROFILE), or set AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY"
)

_NO_ENDPOINT = (
    "no endpoint URL is configured: give --profile (or AWS_PROFILE), or --endpoint-url (or AWS_ENDPOINT_URL)"
    " with the address of Hatchway's API, such as https://hatchway.example:8443"
)

ROLE_CACHE: Final = "~/.aws/hatchway/cache"
"""Where the credentials of roles are kept until they expire."""


_AS_IT_WAS: Final = 1.0
"""Seconds for which a shared file is taken to be as it was when it was read."""


class ProfileOptions(NamedTuple):
    """What the command line says; None leaves it to the environment and the shared files."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    ca_bundle: str | None = None


class Profile:
    """One profile, as `options` alter it.

    Args:
        retry_budget: for servers that are just restarting, of whoever is to be connected to a host.
    """

    def __init__(self, options: ProfileOptions, retry_budget: RetryBudget | None = None) -> None:
        self.options = options
        self.retry_budget = retry_budget
        self._kept: Credentials | None = None
        self._read_at = 0.0
        """When the shared files were read last, as `time.monotonic` has it."""

    @cached_property
    def _session(self) -> Any:
        from hatchway.client.api.botocore_session import Session

        return Session(self)

    @cached_property
    def _simple(self) -> Simple | None:
        """None where botocore has to look."""
        self._read_at = time.monotonic()
        return find_simple(self.options.profile, os.environ)

    @cached_property
    def region(self) -> str:
        """
        Raises:
            NotConfigured: none is configured, what is configured is none, or the profile does not exist.
        """
        if self._simple is not None and (known := self.options.region or self._simple.region):
            if not REGION.fullmatch(known):
                raise NotConfigured(f"{printable(known)!r} is not the name of a region, such as us-east-1")
            return known
        with self._configuration():
            # botocore leaves AWS_REGION to its callers; the AWS CLI 2 and the other SDKs read it first.
            region = (
                self.options.region
                or os.environ.get("AWS_REGION")
                or self._session.get_config_variable("region")
            )
            if not region:
                raise NotConfigured(
                    "no region is configured: give --profile (or AWS_PROFILE), or --region (or AWS_REGION)"
                )
        return str(region)

    @cached_property
    def ca_bundle(self) -> str | None:
        """The path of certificates in PEM form to trust.

        Raises:
            NotConfigured: the profile does not exist.
        """
        if self._simple is not None:
            return self.options.ca_bundle or self._simple.ca_bundle
        with self._configuration():
            path = self.options.ca_bundle or self._session.get_config_variable("ca_bundle")
        return str(path) if path else None

    def credentials(self) -> Credentials:
        """The credentials to use now: temporary ones are renewed when they are about to expire, and of shared
        files it is what stands there now. May block.

        Raises:
            NotConfigured: there are none, or they cannot be had.
            ApiError: the role of the profile cannot be assumed.
        """
        if self._simple is not None and self._simple.credentials is not None:
            self._kept = self._renewed() or self._kept or self._simple.credentials
            return _of_characters(self._kept)
        with self._configuration():
            self._keep_roles()
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NotConfigured(NO_CREDENTIALS)
            frozen = self._frozen(credentials)
        return _of_characters(Credentials(frozen.access_key, frozen.secret_key, frozen.token))

    def _renewed(self) -> Credentials | None:
        """What shared files have now: who renews keys there does so while a listener goes on. None for what
        was read a moment ago, and for what is odd, as while somebody writes it."""
        if time.monotonic() - self._read_at <= _AS_IT_WAS:
            return None
        self._read_at = time.monotonic()
        again = find_simple(self.options.profile, os.environ)
        return None if again is None else again.credentials

    def _frozen(self, credentials: Any) -> Any:
        """As they are now; where the API that gives them is just restarting, when it has.

        Raises:
            NotConfigured: they cannot be had.
            ApiError: the role of the profile cannot be assumed.
        """
        while True:
            try:
                return credentials.get_frozen_credentials()
            except Exception as refusal:
                from hatchway.client.api.botocore_session import refused_operation, seems_restarting

                try:
                    with api_errors(refused_operation(refusal)):
                        raise
                except ApiError as problem:
                    retry_budget = self.retry_budget if seems_restarting(refusal) else None
                    if retry_budget is None or not retry_budget.is_left(problem.message):
                        raise

    def _keep_roles(self) -> None:
        """Has credentials of an assumed role kept between commands, apart for each profile and API."""
        if "role_arn" not in self._session.get_scoped_config():
            return
        from hatchway.client.api.botocore_session import RoleCache, ask_at_terminal

        # botocore names a file by the role and what is asked of it, not by whom and where.
        whose = f"{self._session.profile}\n{self.endpoint_url('sts')}"
        directory = Path(ROLE_CACHE, hashlib.sha256(whose.encode()).hexdigest()[:32]).expanduser()
        provider = self._session.get_component("credential_provider").get_provider("assume-role")
        provider.cache = RoleCache(directory)
        # botocore has no public way to say who asks.
        provider._prompter = ask_at_terminal

    def endpoint_url(self, service: str) -> str:
        """The configured URL of a service such as `ec2`.

        There is none by default: nobody means AWS's own hosts, where every other tool would then go.

        Raises:
            NotConfigured: the profile does not exist, or no URL is configured.
        """
        url = self.options.endpoint_url or self._configured_endpoint_url(service)
        if url is None:
            with self._configuration():
                raise NotConfigured(_NO_ENDPOINT)
        if not _is_url(url):
            raise NotConfigured(
                f"the endpoint URL {printable(str(url), 200)!r} is no URL: write it whole, such as"
                " https://hatchway.example:8443"
            )
        return url

    def _configured_endpoint_url(self, service: str) -> str | None:
        if self._simple is not None and (known := self._simple.endpoint_url(service)):
            return known
        with self._configuration():
            if self._session.get_config_variable("ignore_configured_endpoint_urls"):
                return None
            profile = self._session.get_scoped_config()
            services = self._session.full_config.get("services", {}).get(profile.get("services"), {})
            name = service.replace("-", "_")
            in_order = (
                os.environ.get(f"AWS_ENDPOINT_URL_{name.upper()}"),
                os.environ.get("AWS_ENDPOINT_URL"),
                services.get(name, {}).get("endpoint_url"),
                profile.get("endpoint_url"),
            )
            return next((url for url in in_order if url), None)

    def api(self, service: str, timeout: float | None = None) -> Any:
        """botocore's client of a service, `hatchway` among them.

        Args:
            timeout: seconds for a connection, and for an answer, tried once; None for what botocore has.

        Raises:
            NotConfigured: something that every call needs is missing.
            InvalidOption: there are no certificates in the CA bundle.
        """
        import ssl

        from hatchway.client.api.botocore_session import make_client
        from hatchway.client.connection.tls import trust_bundle

        if self.ca_bundle is not None:
            # botocore takes no directory, and would say of a file only that it failed to connect.
            trust_bundle(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self.ca_bundle, file_only=True)
        region, url = self.region, self.endpoint_url(service)
        with self._configuration():
            self._keep_roles()
            return make_client(
                self._session, service, region=region, url=url, ca_bundle=self.ca_bundle, timeout=timeout
            )

    @cached_property
    def api_client(self) -> ApiClient:
        """What a tunnel asks of EC2 and of EC2 Instance Connect, without botocore; one for all questions.

        Raises:
            NotConfigured: something that every call needs is missing.
        """
        return self.api_client_for(None)

    def api_client_for(self, timeout: float | None) -> ApiClient:
        """One of its own, for whoever does not wait for longer.

        Args:
            timeout: seconds for a connection, and for an answer, tried once; None for what is usual.

        Raises:
            NotConfigured: something that every call needs is missing.
        """
        from hatchway.client.api.api_client import ApiClient

        return ApiClient(
            region=self.region,
            credentials=self.credentials,
            url=self.endpoint_url,
            trust=lambda: self.trusted,
            timeout=timeout,
            retry_budget=self.retry_budget if timeout is None else None,
        )

    @cached_property
    def trusted(self) -> Trust:
        """The system's certificates and those of the CA bundle, a file or a directory.

        Raises:
            InvalidOption: there are no certificates in the CA bundle.
        """
        from hatchway.client.connection.tls import Trust

        return Trust(self.ca_bundle)

    @contextmanager
    def _configuration(self) -> Iterator[None]:
        """What is missing may be in a file that cannot be read, of which botocore says nothing."""
        try:
            with _configuration_errors():
                yield
        except NotConfigured as lacking:
            for variable in ("config_file", "credentials_file"):
                # Unlike that of pathlib this needs no home directory.
                path = os.path.expanduser(str(self._session.get_config_variable(variable)))  # noqa: PTH111
                try:
                    Path(path).open("rb").close()
                except FileNotFoundError:
                    continue
                except OSError as error:
                    why = f"{printable(path)} cannot be read ({error.strerror})"
                    raise NotConfigured(f"{lacking}; {why}") from error
            raise


def _of_characters(credentials: Credentials) -> Credentials:
    """These.

    Raises:
        NotConfigured: they cannot be what an API gave: they are words of a header, and a key of bytes.
    """
    if not all(re.fullmatch(r"[!-~]+", word) for word in credentials if word):
        raise NotConfigured(
            "the access key or the session token contains characters that are not allowed: copy it again"
        )
    return credentials


@contextmanager
def _configuration_errors() -> Iterator[None]:
    try:
        yield
    except ClientError:
        raise
    except Exception as error:
        from hatchway.client.api.botocore_session import configuration_error

        known = configuration_error(error)
        if known is None:
            raise
        raise known from error


def _is_url(url: object) -> bool:
    """RFC 3986: `http` or `https`, a host, and a port if there is one. No blank or control character."""
    if not isinstance(url, str) or not re.fullmatch(r"[!-~]+", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


@contextmanager
def api_errors(operation: str) -> Iterator[None]:
    """Turns exceptions of botocore, and those of an answer that makes no sense, into ours.

    Raises:
        ApiError: the call was refused or not answered.
        NotConfigured: there is nothing to sign the call with.
    """
    try:
        yield
    except ClientError:
        raise
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise ApiError(operation, "", NO_API) from error
    except Exception as error:
        from hatchway.client.api.botocore_session import call_error

        known = call_error(operation, error)
        if known is None:
            raise
        raise known from error
