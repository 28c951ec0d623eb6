"""Who is calling, and where: credentials, region, endpoint URL and CA bundle, found as every AWS tool does.

botocore does the finding: environment, shared files, profiles, SSO, processes (AWS SDKs and Tools Reference
Guide, "Settings reference" and "Service-specific endpoints").
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import botocore.session
from botocore import exceptions as failures
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.utils import JSONFileCache
from urllib3.exceptions import HTTPError

from hatchway.client.errors import ApiError, ClientError, InvalidOption, NotConfigured, printable
from hatchway.client.request import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_CREDENTIALS = (
    "no credentials are configured: give --profile (or AWS_PROFILE), or set AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY"
)

_ENCODED = " Encoded authorization failure message:"
_NO_API = "the answer is not that of Hatchway's API: check the endpoint URL (a gateway's port is another)"

_NO_ENDPOINT = (
    "no endpoint URL is configured: give --profile (or AWS_PROFILE), or --endpoint-url (or AWS_ENDPOINT_URL)"
    " with the address of Hatchway's API, such as https://hatchway.example:8443"
)

_CORRECT_BUNDLE = "correct --ca-bundle, AWS_CA_BUNDLE or the profile's ca_bundle"

ROLE_CACHE: Final = "~/.aws/hatchway/cache"
"""Where the credentials of roles are kept until they expire."""

_OWN_MODELS = files("hatchway") / "protocol" / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """What the command line says; None leaves it to the environment and the shared files."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    ca_bundle: str | None = None


def trust_bundle(context: ssl.SSLContext, ca_bundle: str, *, directory: bool = False) -> None:
    """Has the context trust the certificates of a file; or of a directory, as OpenSSL has them.

    Raises:
        InvalidOption: there are none.
    """
    try:
        context.load_verify_locations(**{"capath" if directory else "cafile": ca_bundle})
    except ssl.SSLError as error:
        raise InvalidOption(
            f"the CA bundle {printable(ca_bundle)} holds no certificate in PEM form: {_CORRECT_BUNDLE}"
        ) from error
    except OSError as error:
        raise InvalidOption(
            f"the CA bundle {printable(ca_bundle)} cannot be read ({error.strerror}): {_CORRECT_BUNDLE}"
        ) from error


class _Session(botocore.session.Session):  # type: ignore[misc]  # botocore has no types
    """botocore's, which assumes the role of a profile where everything else is asked too: AWS's own hosts
    would be sent the access key's id otherwise."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile=profile.options.profile)
        self._of = profile

    def create_client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        if service_name == "sts" and options.get("endpoint_url") is None:
            options["endpoint_url"] = self._of.endpoint_url(service_name)
            options["region_name"] = self._of.region
            options["verify"] = self._of.ca_bundle
        return super().create_client(service_name, *arguments, **options)


class _RoleCache(JSONFileCache):  # type: ignore[misc]
    """Credentials of roles, kept until they expire, as the AWS CLI keeps them: a file for each, its owner's
    alone. What cannot be kept or read is asked for again."""

    def __contains__(self, key: str) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __setitem__(self, key: str, value: Any) -> None:
        with suppress(OSError):
            super().__setitem__(key, value)


class Profile:
    """One profile, as `options` alter it."""

    def __init__(self, options: ProfileOptions) -> None:
        self.options = options
        self._session = _Session(self)

    @cached_property
    def region(self) -> str:
        """
        Raises:
            NotConfigured: none is configured, or the profile does not exist.
        """
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
        with self._configuration():
            path = self.options.ca_bundle or self._session.get_config_variable("ca_bundle")
        return str(path) if path else None

    def credentials(self) -> Credentials:
        """The credentials to use now: temporary ones are renewed when they are about to expire. May block.

        Raises:
            NotConfigured: there are none, or they cannot be had.
            ApiError: the role of the profile cannot be assumed.
        """
        with self._configuration():
            self._keep_roles()
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NotConfigured(_NO_CREDENTIALS)
            try:
                frozen = credentials.get_frozen_credentials()
            except failures.ClientError as refusal:
                with api_errors(refusal.operation_name):
                    raise
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def _keep_roles(self) -> None:
        """Has credentials of an assumed role kept between commands, apart for each profile and API."""
        if "role_arn" not in self._session.get_scoped_config():
            return
        # botocore names a file by the role and what is asked of it, not by whom and where.
        whose = f"{self._session.profile}\n{self.endpoint_url('sts')}"
        directory = Path(ROLE_CACHE, hashlib.sha256(whose.encode()).hexdigest()[:32]).expanduser()
        provider = self._session.get_component("credential_provider").get_provider("assume-role")
        provider.cache = _RoleCache(directory)

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
        if self.ca_bundle is not None:
            # botocore takes no directory, and would say of a file only that it failed to connect.
            trust_bundle(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self.ca_bundle)
        region, url = self.region, self.endpoint_url(service)
        config = None
        if timeout is not None:
            once = {"total_max_attempts": 1}
            config = Config(connect_timeout=timeout, read_timeout=timeout, retries=once)
        with self._configuration():
            self._keep_roles()
            self._session.get_component("data_loader").search_paths.append(str(_OWN_MODELS))
            return self._session.create_client(
                service,
                region_name=region,
                endpoint_url=url,
                verify=self.ca_bundle,
                config=config,
            )

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


@contextmanager
def _configuration_errors() -> Iterator[None]:
    try:
        yield
    except failures.BotoCoreError as error:
        raise NotConfigured(printable(str(error))) from error
    except (ValueError, TypeError, AttributeError, LookupError, OSError) as error:
        # What botocore makes of a section where a word belongs, or of a program that prints no credentials.
        raise NotConfigured(
            f"the AWS configuration (environment, config and credentials files) makes no sense:"
            f" {printable(str(error))}"
        ) from error


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
    """Turns botocore's exceptions into ours.

    Raises:
        ApiError: the call was refused or not answered.
        NotConfigured: there is nothing to sign the call with.
    """
    try:
        yield
    except failures.ClientError as error:
        fault = error.response.get("Error", {})
        if str(fault.get("Code", "")).isdigit():
            # botocore's substitute for a code, of an answer that has none.
            raise ApiError(operation, "", f"HTTP status {fault['Code']}: {_NO_API}") from error
        request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
        raise ApiError(
            operation,
            printable(str(fault.get("Code", ""))),
            # What is sealed behind it the request's id leads to, and nobody reads it on a terminal.
            printable(str(fault.get("Message", "")).partition(_ENCODED)[0]),
            printable(str(request_id), 100) if request_id else None,
        ) from error
    except failures.NoCredentialsError as error:
        raise NotConfigured(_NO_CREDENTIALS) from error
    except failures.CredentialRetrievalError as error:
        raise NotConfigured(printable(str(error))) from error
    except failures.BotoCoreError as error:
        raise _no_answer(operation, error) from error
    except (ResponseParserError, HTTPError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise ApiError(operation, "", _NO_API) from error


def _no_answer(operation: str, error: failures.BotoCoreError) -> ClientError:
    told = str(error)
    # botocore's text for a connection that failed leaves out why.
    cause = f"{told} {error.kwargs.get('error', '')}"
    hint = next((hint for kind, text, hint in _HINTS if isinstance(error, kind) and text in cause), "")
    return ApiError(operation, "", printable(told).rstrip(".") + hint)


_HINTS: Final[Sequence[tuple[type[Exception], str, str]]] = (
    (failures.SSLError, "Hostname mismatch", ": call the server by a name that its certificate has"),
    (failures.SSLError, "IP address mismatch", ": call the server by a name that its certificate has"),
    (failures.SSLError, "doesn't match", ": call the server by a name that its certificate has"),
    (failures.SSLError, "CERTIFICATE_VERIFY_FAILED", " (give the CA with --ca-bundle or AWS_CA_BUNDLE)"),
    (failures.SSLError, "", ": check the endpoint URL, for what listens there is not the API"),
    (failures.ProxyConnectionError, "", ": check HTTPS_PROXY and NO_PROXY"),
    (failures.EndpointConnectionError, "resolve", ": this name is not known here"),
    (failures.EndpointConnectionError, "", ": see that Hatchway runs, and its API listens there"),
    (failures.ConnectTimeoutError, "", ": see that Hatchway's API listens there, and what is between"),
    (failures.ConnectionClosedError, '"http:', ": the API speaks https"),
    (failures.HTTPClientError, "Failed to parse", ": check HTTPS_PROXY and NO_PROXY"),
)
"""By an error's type and a part of its text: what to do about it."""
