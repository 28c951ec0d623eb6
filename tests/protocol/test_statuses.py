"""The HTTP status of each error."""

from __future__ import annotations

import pytest

from hatchway.protocol import ServiceError, load_service


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "AuthFailure", 401),
        ("ec2", "UnauthorizedOperation", 403),
        ("ec2", "DryRunOperation", 412),
        ("ec2", "InvalidSubnetID.NotFound", 400),
        ("ec2", "RequestLimitExceeded", 503),
        ("ec2", "InternalError", 500),
        ("iam", "NoSuchEntity", 404),
        ("iam", "EntityAlreadyExists", 409),
        ("iam", "LimitExceeded", 409),
        ("iam", "DeleteConflict", 409),
        ("iam", "MalformedPolicyDocument", 400),
        ("iam", "AccessDenied", 403),
        ("iam", "ServiceFailure", 500),
        ("sts", "SignatureDoesNotMatch", 403),
        ("sts", "InvalidClientTokenId", 403),
        ("sts", "MissingAuthenticationToken", 403),
        ("sts", "IncompleteSignature", 400),
        ("sts", "RequestExpired", 400),
        ("sts", "RegionDisabledException", 403),
        ("ec2-instance-connect", "AuthException", 400),
        ("ec2-instance-connect", "ServiceException", 500),
        ("cloudtrail", "AccessDeniedException", 400),
    ],
)
def test_an_error_has_the_status_that_aws_gives_it(service: str, code: str, status: int) -> None:
    assert load_service(service).render_error(ServiceError(code, "why"), "request-1").status == status


def test_an_error_may_bring_its_own_status() -> None:
    error = ServiceError("NoSuchEntity", "why", status=410)

    assert load_service("iam").render_error(error, "request-1").status == 410
