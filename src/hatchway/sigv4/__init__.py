"""AWS Signature Version 4: signing keys, verifying and presigning. Pure, standard library only.

A caller holds a secret access key; a verifier holds that secret, or only a *signing key* derived from it for
one day, region and service. Reading and checking are two steps, because between them lies a look-up::

    signature = read_header_signature(request)            # or read_query_signature; parses, proves nothing
    key = keys.get(signature.access_key_id)               # None when nobody has that access key
    verify(request, signature, key, now=now, region="us-east-1", services={"ec2", "iam"})

Nothing that a request says may be believed before `verify` has returned. Every failure is a `SignatureError`
whose class says what was wrong and whose fields say where; none carries a secret, a token or the expected
signature.

There are two forms. The *header* form (an `Authorization` header) signs the body; API calls use it. The
*query* form (a presigned URL, `X-Amz-Signature` among its parameters) signs no body, so a request in that
form may not have one; OpenTunnel uses it. Clients make them with `sign_headers` and `presign`.

The rules are those of the AWS General Reference and the IAM User Guide, "Create a signed AWS API request",
for services other than S3: the path is normalised and encoded once more, the payload is always hashed.
"""

from hatchway.sigv4.errors import (
    IncompleteSignature,
    MissingAuthenticationToken,
    RequestExpired,
    SignatureDoesNotMatch,
    SignatureError,
    UnknownAccessKey,
    WrongScope,
)
from hatchway.sigv4.keys import Scope, derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import Signature, read_header_signature, read_query_signature
from hatchway.sigv4.signing import presign, sign_headers
from hatchway.sigv4.verification import CLOCK_SKEW, verify

__all__ = [
    "CLOCK_SKEW",
    "HttpRequest",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "RequestExpired",
    "Scope",
    "Signature",
    "SignatureDoesNotMatch",
    "SignatureError",
    "UnknownAccessKey",
    "WrongScope",
    "derive_signing_key",
    "presign",
    "read_header_signature",
    "read_query_signature",
    "sign_headers",
    "verify",
]
