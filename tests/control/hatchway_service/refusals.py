"""What boto3 raises, and policies, for the tests here."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Callable[[], object], code: str) -> str:
    """The message with which a call is refused, with this code."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return str(error["Message"])


def allow(*actions: str, resource: Any = "*", **condition: Any) -> Mapping[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement
