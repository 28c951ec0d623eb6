"""AWS Signature Version 4: signing keys, verifying and presigning. Pure, standard library only.

A caller holds a secret access key; a verifier holds that secret, or only a *signing key* derived from it for
one day, region and service. Reading and checking are two steps, because between them lies a look-up:

    >>> from datetime import UTC, datetime
    >>> from hatchway.sigv4.keys import derive_signing_key
    >>> from hatchway.sigv4.request import HttpRequest
    >>> from hatchway.sigv4.signature import read_header_signature
    >>> from hatchway.sigv4.signing import sign_headers
    >>> from hatchway.sigv4.verification import verify
    >>> now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    >>> request = HttpRequest("POST", "/", "", (("Host", "api.example:8443"),), b"Action=DescribeVpcs")
    >>> key = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret"}
    >>> added = sign_headers(request, **key, region="us-east-1", service="ec2", now=now)
    >>> signed = HttpRequest("POST", "/", "", request.headers + added, request.body)
    >>> signature = read_header_signature(signed)      # or read_query_signature; parses, proves nothing
    >>> signature.access_key_id
    'AKIAEXAMPLE'
    >>> key = derive_signing_key("secret", "20261124", "us-east-1", "ec2")     # None for an unknown key id
    >>> verify(signed, signature, key, now=now, region="us-east-1", services={"ec2", "iam"})

Nothing that a request says may be believed before `verify` has returned. Every failure is a `SignatureError`
whose class says what was wrong and whose fields say where; none carries a secret, a token or the expected
signature.

There are two forms. The *header* form (an `Authorization` header) signs the body; API calls use it. The
*query* form (a presigned URL, `X-Amz-Signature` among its parameters) signs no body, so a request in that
form may not have one; OpenTunnel uses it. Clients make them with `sign_headers` and `presign`.

| module | holds |
|---|---|
| `request` | the part of an HTTP request that a signature covers |
| `query` | names and values of its query string |
| `canonical` | its canonical form, and the signature over it |
| `keys` | credential scopes, and signing keys |
| `signature` | reading a signature from a request |
| `verification` | was it made with this key, for here, now |
| `signing` | the client's side |
| `errors` | why a signature was not accepted |

The rules are those of the AWS General Reference and the IAM User Guide, "Create a signed AWS API request",
for services other than S3: the path is normalised and encoded once more, the payload is always hashed.

Nothing is imported here: a client that signs does not load what reads and verifies.
"""
