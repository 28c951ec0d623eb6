"""Signed calls, as AWS's clients send them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from bench.api.account import REGION

from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import sign_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.api.account import Key

_VERSIONS = {"ec2": "2016-11-15", "iam": "2010-05-08", "sts": "2011-06-15"}
_TARGETS = {
    "ec2-instance-connect": "AWSEC2InstanceConnectService",
    "hatchway": "Hatchway",
    "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
}


@dataclass(frozen=True)
class Call:
    service: str
    action: str
    parameters: Mapping[str, object]

    def request(self, key: Key, host: str) -> HttpRequest:
        """The request, signed now."""
        if self.service in _VERSIONS:
            form = {"Action": self.action, "Version": _VERSIONS[self.service], **self.parameters}
            body = urlencode(form).encode()
            headers = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
        else:
            body = json.dumps(self.parameters).encode()
            headers = [
                ("Content-Type", "application/x-amz-json-1.1"),
                ("X-Amz-Target", f"{_TARGETS[self.service]}.{self.action}"),
            ]
        unsigned = HttpRequest("POST", "/", "", (("Host", host), *headers), body)
        signature = sign_headers(
            unsigned,
            access_key_id=key.access_key_id,
            secret_access_key=key.secret,
            region=REGION,
            service=self.service,
            now=datetime.now(UTC),
        )
        return HttpRequest("POST", "/", "", (*unsigned.headers, *signature), body)


def filters(*pairs: tuple[str, str]) -> dict[str, str]:
    """`Filters` of EC2, each of one value."""
    form = {}
    for number, (name, value) in enumerate(pairs, 1):
        form[f"Filter.{number}.Name"] = name
        form[f"Filter.{number}.Value.1"] = value
    return form
