"""The few questions that a tunnel takes, asked of the API without botocore, which takes longer to load than
they take to be answered.

The methods are those of botocore's clients, with the same parameters and answers, of these operations only:
whoever takes a client of EC2 takes either.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

from hatchway import __version__
from hatchway.client.api import clock
from hatchway.client.api.ec2_protocol import read_answer, write_parameters
from hatchway.client.api.http_connection import HttpConnection, Waiting
from hatchway.client.errors import ENCODED, NO_API, REQUEST_ID_HEADER, ApiError, printable
from hatchway.sigv4.signing import sign_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hatchway.client.api.shared_files import Credentials
    from hatchway.client.connection.http_answer import HttpAnswer
    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.connection.tls import Trust

Question = tuple[str, "Mapping[str, Any]"]
"""An operation and its parameters; or a path, asked for without credentials, and none."""

_EC2_VERSION: Final = "2016-11-15"
_TARGETS: Final = {"ec2-instance-connect": "AWSEC2InstanceConnectService", "hatchway": "Hatchway"}
"""How services name themselves to a server that has several."""

_PAGINATED: Final = {
    "describe_instances": "DescribeInstances",
    "describe_instance_connect_endpoints": "DescribeInstanceConnectEndpoints",
}

_MOST_PAGES: Final = 1000
"""Of one listing, a thousand things each at most, beyond which a server is taken to have no end of them."""

_ATTEMPTS: Final = 4
_PAUSE: Final = 0.2
"""Seconds before the second attempt; twice as many before each further one."""
_AGAIN_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_AWAY_STATUSES: Final = frozenset({502, 503, 504})
"""Of what stands before a server that is just restarting (RFC 9110 sections 15.6.3 to 15.6.5)."""
_THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled"}
)


class ApiClient:
    """Asks as one user, of one API; a connection for each endpoint URL, kept for what is asked next.

    Args:
        credentials: gives the credentials to use now.
        url: gives the URL of a service.
        trust: gives what decides whom to trust.
        timeout: seconds to wait for an answer, tried once; None for what is usual.
        retry_budget: for a server that is just restarting.
    """

    def __init__(
        self,
        *,
        region: str,
        credentials: Callable[[], Credentials],
        url: Callable[[str], str],
        trust: Callable[[], Trust],
        timeout: float | None = None,
        retry_budget: RetryBudget | None = None,
    ) -> None:
        self._region = region
        self._credentials = credentials
        self._url = url
        self._trust = trust
        self._timeout = timeout
        self._retry_budget = retry_budget
        self._connections: dict[str, HttpConnection] = {}
        self._ahead: dict[str, Waiting] = {}

    # What botocore's clients have.

    def describe_instances(self, **parameters: Any) -> dict[str, Any]:
        """
        Raises:
            ApiError: refused, or not answered.
        """
        return self._ec2("DescribeInstances", parameters)

    def describe_instance_connect_endpoints(self, **parameters: Any) -> dict[str, Any]:
        """
        Raises:
            ApiError: refused, or not answered.
        """
        return self._ec2("DescribeInstanceConnectEndpoints", parameters)

    def send_ssh_public_key(self, **parameters: Any) -> dict[str, Any]:
        """
        Raises:
            ApiError: refused, or not answered.
        """
        answer = self._call("ec2-instance-connect", "SendSSHPublicKey", parameters)
        return _json(answer, "SendSSHPublicKey")

    def describe_host_keys(self, **parameters: Any) -> dict[str, Any]:
        """
        Raises:
            ApiError: refused, or not answered.
        """
        return _json(self._call("hatchway", "DescribeHostKeys", parameters), "DescribeHostKeys")

    def get_paginator(self, name: str) -> _Pages:
        return _Pages(self, _PAGINATED[name])

    # What they have not.

    def discover(self, path: str) -> HttpAnswer:
        """What the control plane's server says at a path, without credentials.

        Raises:
            ApiError: not answered.
        """
        return self._answered("ec2", path, {})

    def prefetch(self, *questions: Question, service: str = "ec2") -> None:
        """Send questions that will be asked, of EC2 and by `discover` or of another service, all at once. Who
        asks them then, by a method above and in the same words, waits for less.

        Raises:
            ApiError: the server cannot be reached.
        """
        waiting = {_key(service, *question): self._prepared(service, *question) for question in questions}
        if waiting:
            with _naming(questions[0][0]):
                self._connection(service).send_all(list(waiting.values()))
            self._ahead |= waiting

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._ahead.clear()

    def _ec2(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._call("ec2", operation, parameters)
        try:
            return read_answer(answer.body)
        except ValueError as error:
            raise ApiError(operation, "", NO_API) from error

    def _call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> HttpAnswer:
        pause = _PAUSE
        attempt = 0
        while True:
            attempt += 1
            answer = self._answered(service, operation, parameters)
            if answer.status == 200:
                return answer
            refusal = _refusal(operation, answer)
            if attempt < _ATTEMPTS and clock.learn(refusal.message):
                continue
            passing = answer.status in _AGAIN_STATUSES or refusal.code in _THROTTLED
            if not passing or self._timeout is not None:
                raise refusal
            if attempt < _ATTEMPTS:
                time.sleep(pause)
                pause *= 2
            elif answer.status not in _AWAY_STATUSES or not self._is_waited_for(refusal):
                raise refusal

    def _is_waited_for(self, refusal: ApiError) -> bool:
        return self._retry_budget is not None and self._retry_budget.is_left(refusal.message)

    def _answered(self, service: str, operation: str, parameters: Mapping[str, Any]) -> HttpAnswer:
        waiting = self._ahead.pop(_key(service, operation, parameters), None)
        with _naming(
            operation if operation[:1] != "/" else f"GET {self._url(service).rstrip('/')}{operation}"
        ):
            connection = self._connection(service)
            if waiting is None:
                waiting = self._prepared(service, operation, parameters)
                connection.send_all([waiting])
            return connection.answer(waiting)

    def _prepared(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Waiting:
        """The request, signed now; of a path, which needs no signature, a GET."""
        parts = urlsplit(self._url(service))
        host = ("Host", parts.netloc.rpartition("@")[2])
        if operation.startswith("/"):
            return Waiting(_written(_Request("GET", parts.path.rstrip("/") + operation, "", (host,), b"")))
        if service == "ec2":
            kind = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            pairs = [("Action", operation), ("Version", _EC2_VERSION), *write_parameters(parameters)]
            body = urlencode(pairs).encode("ascii")
            headers = [host, kind]
        else:
            body = json.dumps(dict(parameters)).encode("ascii")
            target = ("X-Amz-Target", f"{_TARGETS[service]}.{operation}")
            headers = [host, ("Content-Type", "application/x-amz-json-1.1"), target]
        request = _Request("POST", parts.path or "/", parts.query, tuple(headers), body)
        credentials = self._credentials()
        added = sign_headers(
            request,
            access_key_id=credentials.access_key_id,
            secret_access_key=credentials.secret_access_key,
            session_token=credentials.session_token,
            region=self._region,
            service=service,
            now=clock.now(),
        )
        return Waiting(_written(request._replace(headers=request.headers + added)))

    def _connection(self, service: str) -> HttpConnection:
        url = self._url(service)
        if url not in self._connections:
            self._connections[url] = HttpConnection(url, self._trust, self._timeout, self._retry_budget)
        return self._connections[url]


class _Request(NamedTuple):
    """What is sent, and signed. (An `HttpRequest` takes longer to load.)"""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def parameters(self) -> list[tuple[str, str]]:
        # Of the endpoint URL, which hardly ever has one.
        if not self.query:
            return []
        from hatchway.sigv4.query import query_pairs

        return query_pairs(self.query)


class _Pages:
    """As botocore's paginators are."""

    def __init__(self, client: ApiClient, operation: str) -> None:
        self._client = client
        self._operation = operation

    def paginate(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        size = parameters.pop("PaginationConfig", {}).get("PageSize")
        if size is not None:
            parameters["MaxResults"] = size
        for _ in range(_MOST_PAGES):
            page = self._client._ec2(self._operation, parameters)
            yield page
            token = page.get("NextToken")
            if not token:
                return
            if token == parameters.get("NextToken"):
                break
            parameters["NextToken"] = token
        raise ApiError(self._operation, "", f"there is no end of its pages: {NO_API}")


def _key(service: str, operation: str, parameters: Mapping[str, Any]) -> str:
    return json.dumps([service, operation, parameters], sort_keys=True)


def _written(request: _Request) -> bytes:
    target = f"{request.path}?{request.query}" if request.query else request.path
    headers = [
        *request.headers,
        ("User-Agent", f"hatchway/{__version__}"),
        ("Accept-Encoding", "identity"),
        *([("Content-Length", str(len(request.body)))] if request.method == "POST" else []),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{request.method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + request.body


def _json(answer: HttpAnswer, operation: str) -> dict[str, Any]:
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ApiError(operation, "", NO_API)
    return fields


def _refusal(operation: str, answer: HttpAnswer) -> ApiError:
    """Of EC2's XML, or of JSON with the code in `__type`."""
    code = message = ""
    request_id = answer.headers.get(REQUEST_ID_HEADER)
    try:
        if answer.body.lstrip().startswith(b"<"):
            fields = read_answer(answer.body)
            errors = fields.get("Errors", {})
            error = errors.get("Error", {}) if isinstance(errors, dict) else {}
            code, message = error.get("Code", ""), error.get("Message", "")
            request_id = request_id or fields.get("RequestID")
        else:
            fields = json.loads(answer.body)
            code = str(fields.get("__type", "")).rpartition("#")[2]
            message = fields.get("message") or fields.get("Message") or ""
    except (ValueError, AttributeError, RecursionError):
        code = ""
    if not code:
        return ApiError(operation, "", f"HTTP status {answer.status}: {NO_API}")
    return ApiError(
        operation,
        printable(str(code)),
        # What is sealed behind it the request's id leads to, and nobody reads it on a terminal.
        printable(str(message).partition(ENCODED)[0]),
        printable(str(request_id), 100) if request_id else None,
    )


@contextmanager
def _naming(operation: str) -> Iterator[None]:
    """Errors of the connection, with what was asked."""
    try:
        yield
    except ApiError as error:
        raise ApiError(printable(operation), error.code, error.message) from error
