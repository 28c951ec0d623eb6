"""AWS wire protocols from botocore's service models: bytes to parameters, results and errors to bytes. Pure."""
