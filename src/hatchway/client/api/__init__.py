"""Calls of the API, signed with the credentials that every AWS tool would find.

What must hold here: what can be found and asked without botocore is, as botocore takes longer to load than
all else together; and it is found as botocore would find it.

| module | holds |
|---|---|
| `profile` | credentials, region, endpoint URL and CA bundle, found as every AWS tool finds them |
| `shared_files` | what of that stands in so many words in the environment and the shared files |
| `botocore_session` | all else, found by botocore; clients of whole services |
| `proxied_calls` | calls of botocore through any proxy that tunnels go through |
| `api_client` | the few questions of a tunnel, asked without botocore |
| `ec2_protocol` | their words. Pure |
| `http_connection` | the connection on which they are asked |
| `clock` | the time to sign at, the server's where this machine's is wrong |
| `ids` | the id that is meant by its beginning |
| `tunnels`, `denials` | the service `hatchway`: open tunnels listed and ended; why a caller was denied |
| `events` | the audit trail, looked up and followed |
"""
