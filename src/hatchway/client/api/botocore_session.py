"""What botocore is for: credentials that stand nowhere in so many words, and every service's client.

It takes longer to load than a tunnel takes to open, so this is imported only where it is needed.
"""

from __future__ import annotations

import getpass
import json
import os
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore.auth
import botocore.session
from botocore import exceptions as failures
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.utils import JSONFileCache
from urllib3.exceptions import HTTPError

from hatchway.client.api import clock
from hatchway.client.api.http_connection import TIMEOUT, UNRESOLVED
from hatchway.client.api.profile import NO_CREDENTIALS
from hatchway.client.connection.proxy import ProxyFailed, proxy_for_url
from hatchway.client.connection.retry import as_while_restarting
from hatchway.client.connection.tls import unknown_ca
from hatchway.client.errors import ENCODED, NO_API, ApiError, ClientError, NotConfigured, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from hatchway.client.api.profile import Profile

ANSWER_TIMEOUT: Final = 20.0
"""Seconds for each wait for an answer's bytes, where botocore waits for 60. The API's own longest wait is the
15 for the store's lock (`store.engines`), and then it says what kept it. The AWS CLI has an option for this,
`--cli-read-timeout`; no variable and no key of the shared files is about it."""

_CA_BUNDLE: Final = "ca_bundle"
_OWN_MODELS = files("hatchway") / "protocol" / "models"


class Session(botocore.session.Session):  # type: ignore[misc]  # botocore has no types
    """botocore's, which assumes the role of a profile where everything else is asked too: AWS's own hosts
    would be sent the access key's id otherwise."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile=profile.options.profile)
        self._of = profile

    def create_client(self, service_name: str, *arguments: Any, **options: Any) -> Any:
        models = self.get_component("data_loader").search_paths
        if str(_OWN_MODELS) not in models:
            models.append(str(_OWN_MODELS))
        if service_name == "sts" and options.get("endpoint_url") is None:
            options["endpoint_url"] = self._of.endpoint_url(service_name)
            options["region_name"] = self._of.region
            options["verify"] = self._of.ca_bundle
        url = options.get("endpoint_url")
        if url is None:
            return super().create_client(service_name, *arguments, **options)
        # botocore has no other way to say what time it is.
        botocore.auth.get_current_datetime = _signing_time
        # STS is asked on the way to a host, where nothing waits for longer.
        read_timeout = TIMEOUT if service_name == "sts" else ANSWER_TIMEOUT
        # One place says what to go through: told of no proxies, botocore does not look for any itself.
        config = Config(proxies={}, connect_timeout=TIMEOUT, read_timeout=read_timeout)
        config = config.merge(options.get("config") or Config())
        client = super().create_client(service_name, *arguments, **{**options, "config": config})
        proxy = proxy_for_url(url)
        if proxy is not None:
            from hatchway.client.api.proxied_calls import send_through

            send_through(client, proxy, options.get("verify"), config)
        client.meta.events.register_first("needs-retry", _ask_at_server_time)
        client.meta.events.register_first("needs-retry", _give_up_on_silence)
        client.meta.events.register_first("needs-retry", partial(_note_trust, options.get("verify")))
        if service_name == "sts":
            client.meta.events.register_first("needs-retry.sts", self._leave_waiting)
        return client

    def _leave_waiting(self, caught_exception: Exception | None = None, **_of_the_attempt: Any) -> None:
        """Has botocore not try again where whoever has more patience will."""
        if (
            caught_exception is not None
            and self._of.retry_budget is not None
            and seems_restarting(caught_exception)
        ):
            raise caught_exception


def _note_trust(
    ca_bundle: str | None, caught_exception: Exception | None = None, **_of_the_attempt: Any
) -> None:
    """Put the CA bundle that was used into botocore's exception, for whoever says what to do about it."""
    if isinstance(caught_exception, failures.SSLError):
        caught_exception.kwargs[_CA_BUNDLE] = ca_bundle


def _give_up_on_silence(caught_exception: Exception | None = None, **_of_the_attempt: Any) -> None:
    """Has botocore not ask again, four times, who has said nothing: a person waits for it, and what was asked
    may have been done."""
    if isinstance(caught_exception, (failures.ConnectTimeoutError, failures.ReadTimeoutError)):
        raise caught_exception


def _signing_time(remove_tzinfo: bool = True) -> datetime:
    """In the place of botocore's, with its default."""
    return clock.now().replace(tzinfo=None) if remove_tzinfo else clock.now()


def _ask_at_server_time(response: Any = None, attempts: int = 1, **_of_the_attempt: Any) -> float | None:
    """Has a call made again that was refused for the time of its signature: after how many seconds."""
    refused = {} if response is None else response[1].get("Error", {})
    once = attempts == 1 and clock.learn(str(refused.get("Message", "")))
    return 0.0 if once else None


class RoleCache(JSONFileCache):  # type: ignore[misc]
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


def ask_at_terminal(prompt: str) -> str:
    """The code of an MFA device. Where there is no terminal, getpass would take it from standard input, which
    may be what ssh says to the host.

    Raises:
        NotConfigured: there is nobody to ask.
    """
    if os.name == "posix":
        try:
            Path("/dev/tty").open("rb").close()
        except OSError:
            raise NotConfigured(
                f"{printable(prompt).rstrip(': ')}: no terminal to type it at: run 'hatchway hosts' with"
                " this profile at one first: what the code gives is kept until it expires"
            ) from None
    return getpass.getpass(prompt)


def make_client(
    session: Session, service: str, *, region: str, url: str, ca_bundle: str | None, timeout: float | None
) -> Any:
    """A service's client. `timeout`: seconds for an answer, once; the usual at most for a connection."""
    config = None
    if timeout is not None:
        once = {"total_max_attempts": 1}
        config = Config(connect_timeout=min(timeout, TIMEOUT), read_timeout=timeout, retries=once)
    return session.create_client(
        service,
        region_name=region,
        endpoint_url=url,
        verify=ca_bundle,
        config=config,
    )


def refused_operation(error: Exception) -> str:
    """The operation that an error of botocore tells of."""
    return str(getattr(error, "operation_name", "AssumeRole"))


def seems_restarting(error: BaseException | None) -> bool:
    """Whether it is what botocore makes of what a connection fails of while its server restarts."""
    if not isinstance(error, failures.BotoCoreError):
        return False
    return any(isinstance(cause, Exception) and as_while_restarting(cause) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It, and what it comes of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def configuration_error(error: Exception) -> NotConfigured | None:
    """What botocore makes of a configuration that it cannot use; None for a defect of ours."""
    if isinstance(error, failures.BotoCoreError):
        return NotConfigured(_with_advice(error))
    if isinstance(error, json.JSONDecodeError):
        return NotConfigured(
            "the credential_process of this profile prints no JSON: see what it says when you run it by hand"
        )
    if isinstance(error, (ValueError, TypeError, AttributeError, LookupError, OSError)):
        # What botocore makes of a section where a word belongs, or of a program that prints no credentials.
        return NotConfigured(
            f"the AWS configuration (environment, config and credentials files) makes no sense:"
            f" {printable(str(error))}"
        )
    return None


def _with_advice(error: failures.BotoCoreError) -> str:
    """What botocore says, and what to do about it where it does not say so."""
    told = printable(str(error)).rstrip(".: ")
    to_do = next((to_do for kind, text, to_do in _ADVICE if isinstance(error, kind) and text in told), "")
    return f"{told}: {to_do}" if to_do else told


def call_error(operation: str, error: Exception) -> ClientError | None:
    """What a call failed of; None for a defect of ours."""
    if isinstance(error, failures.ClientError):
        fault = error.response.get("Error", {})
        if str(fault.get("Code", "")).isdigit():
            # botocore's substitute for a code, of an answer that has none.
            return ApiError(operation, "", f"HTTP status {fault['Code']}: {NO_API}")
        request_id = error.response.get("ResponseMetadata", {}).get("RequestId")
        return ApiError(
            # What was called on the way there, such as AssumeRole, may be what was refused.
            printable(str(error.operation_name), 100),
            printable(str(fault.get("Code", ""))),
            # What is sealed behind it the request's id leads to, and nobody reads it on a terminal.
            printable(str(fault.get("Message", "")).partition(ENCODED)[0]),
            printable(str(request_id), 100) if request_id else None,
        )
    if isinstance(error, failures.NoCredentialsError):
        return NotConfigured(NO_CREDENTIALS)
    if isinstance(error, _OF_CREDENTIALS):
        return NotConfigured(_with_advice(error))
    if isinstance(error, failures.BotoCoreError):
        return _no_answer(operation, error)
    if isinstance(error, (ResponseParserError, HTTPError)):
        return ApiError(operation, "", NO_API)
    return None


def _no_answer(operation: str, error: failures.BotoCoreError) -> ClientError:
    told = str(error)
    refused = next((cause for cause in _causes(error) if isinstance(cause, ProxyFailed)), None)
    if refused is not None:
        return ApiError(operation, "", printable(f"{told.rstrip('.')}: {refused}"))
    # botocore's text for a connection that failed leaves out why.
    cause = f"{told} {error.kwargs.get('error', '')}"
    hint = next((hint for kind, text, hint in _HINTS if isinstance(error, kind) and text in cause), "")
    if hint == _UNKNOWN_CA:
        hint = f": {unknown_ca(error.kwargs.get(_CA_BUNDLE))}"
    return ApiError(operation, "", printable(told).rstrip(".") + hint)


_OF_CREDENTIALS: Final = (
    failures.CredentialRetrievalError,
    failures.TokenRetrievalError,
    failures.SSOError,
    failures.LoginError,
)
"""What botocore fails with where it has found how to come by credentials, and cannot."""

_ADVICE: Final[Sequence[tuple[type[Exception], str, str]]] = (
    (
        failures.ProfileNotFound,
        "",
        "check --profile (or AWS_PROFILE), and the files where profiles stand: ~/.aws/config and"
        " ~/.aws/credentials, or what AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name",
    ),
    (failures.SSOError, "", "sign in by 'aws sso login' with this profile"),
    (failures.TokenRetrievalError, "", "sign in by 'aws sso login' with this profile"),
    (failures.LoginError, "", "sign in by 'aws login' with this profile"),
    (
        failures.CredentialRetrievalError,
        "custom-process",
        "see what the credential_process of this profile says when you run it by hand",
    ),
    (failures.CredentialRetrievalError, "", "see that what credential_source of this profile names is here"),
)
"""By an error's type and a part of its text: what to do about credentials that cannot be had."""

_UNKNOWN_CA: Final = "the CA is not known"
_OUT_OF_TIME: Final = ": check this machine's clock, or ask the server's administrator to renew it"

_HINTS: Final[Sequence[tuple[type[Exception], str, str]]] = (
    (failures.SSLError, "Hostname mismatch", ": call the server by a name that its certificate has"),
    (failures.SSLError, "IP address mismatch", ": call the server by a name that its certificate has"),
    (failures.SSLError, "doesn't match", ": call the server by a name that its certificate has"),
    (failures.SSLError, "is not yet valid", _OUT_OF_TIME),
    (failures.SSLError, "has expired", _OUT_OF_TIME),
    (failures.SSLError, "CERTIFICATE_VERIFY_FAILED", _UNKNOWN_CA),
    (failures.SSLError, "", ": check the endpoint URL, for what listens there is not the API"),
    (failures.ProxyConnectionError, "", ": check HTTPS_PROXY and NO_PROXY"),
    (failures.EndpointConnectionError, "Temporary failure in name resolution", UNRESOLVED),
    (failures.EndpointConnectionError, "resolve", ": this name is not known here"),
    (failures.EndpointConnectionError, "", ": see that Hatchway runs, and its API listens there"),
    (failures.ConnectTimeoutError, "", ": see that Hatchway's API listens there, and what is between"),
    (
        failures.ReadTimeoutError,
        "",
        ": it took the connection and said nothing in time: see that Hatchway's API listens there and is not"
        " overloaded, and what is between",
    ),
    (failures.ConnectionClosedError, '"http:', ": the API speaks https"),
    (failures.HTTPClientError, "Failed to parse", ": check HTTPS_PROXY and NO_PROXY"),
)
"""By an error's type and a part of its text: what to do about it."""
