"""Who is calling, and where: credentials, region, endpoint URL and CA bundle, found as every AWS tool does.

botocore does the finding: environment, shared files, profiles, SSO, processes (AWS SDKs and Tools Reference
Guide, "Settings reference" and "Service-specific endpoints").
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore.session
from botocore import exceptions as failures
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from hatchway.client.errors import ApiError, ClientError, NotConfigured, printable
from hatchway.client.request import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_CREDENTIALS = (
    "no credentials are configured: give --profile, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)

_ENCODED = " Encoded authorization failure message:"

_OWN_MODELS = files("hatchway") / "protocol" / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """What the command line says; None leaves it to the environment and the shared files."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    ca_bundle: str | None = None


class Profile:
    """One profile, as `options` alter it."""

    def __init__(self, options: ProfileOptions) -> None:
        self.options = options
        self._session = botocore.session.Session(profile=options.profile)

    @cached_property
    def region(self) -> str:
        """
        Raises:
            NotConfigured: none is configured, or the profile does not exist.
        """
        with _configuration_errors():
            # botocore leaves AWS_REGION to its callers; the AWS CLI 2 and the other SDKs read it first.
            region = (
                self.options.region
                or os.environ.get("AWS_REGION")
                or self._session.get_config_variable("region")
            )
        if not region:
            raise NotConfigured("no region is configured: give --region or set AWS_REGION")
        return str(region)

    @cached_property
    def ca_bundle(self) -> str | None:
        """The path of certificates in PEM form to trust.

        Raises:
            NotConfigured: the profile does not exist.
        """
        with _configuration_errors():
            path = self.options.ca_bundle or self._session.get_config_variable("ca_bundle")
        return str(path) if path else None

    def credentials(self) -> Credentials:
        """The credentials to use now: temporary ones are renewed when they are about to expire. May block.

        Raises:
            NotConfigured: there are none, or they cannot be had.
        """
        with _configuration_errors():
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NotConfigured(_NO_CREDENTIALS)
            frozen = credentials.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def endpoint_url(self, service: str) -> str | None:
        """The configured URL of a service such as `ec2`; None means AWS's own.

        Raises:
            NotConfigured: the profile does not exist, or what is configured is no URL.
        """
        url = self.options.endpoint_url or self._configured_endpoint_url(service)
        if url is not None and not _is_url(url):
            raise NotConfigured(
                f"the endpoint URL for {service} is no URL: give one such as https://hatchway.example:8443"
            )
        return url

    def _configured_endpoint_url(self, service: str) -> str | None:
        with _configuration_errors():
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

    def api(self, service: str) -> Any:
        """botocore's client of a service, `hatchway` among them.

        Raises:
            NotConfigured: something that every call needs is missing.
        """
        with _configuration_errors():
            self._session.get_component("data_loader").search_paths.append(str(_OWN_MODELS))
            return self._session.create_client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint_url(service),
                verify=self.ca_bundle,
            )


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
        raise ApiError(
            operation, "", "the answer is not that of an AWS API: check the endpoint URL"
        ) from error


def _no_answer(operation: str, error: failures.BotoCoreError) -> ClientError:
    hint = (
        "" if not isinstance(error, failures.SSLError) else " (give the CA with --ca-bundle or AWS_CA_BUNDLE)"
    )
    return ApiError(operation, "", printable(str(error)) + hint)
