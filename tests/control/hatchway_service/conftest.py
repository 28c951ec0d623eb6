"""boto3 with our model beside botocore's own, as AWS_DATA_PATH puts it there."""

import boto3
import pytest

from hatchway.protocol.service_models import OWN_MODELS


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    session = boto3.Session()
    session._loader.search_paths.append(str(OWN_MODELS))
    return session
