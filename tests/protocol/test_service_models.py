"""Loading service models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hatchway.protocol import Call, Service, ServiceError, UnknownServiceError, load_service, service_models

if TYPE_CHECKING:
    from pathlib import Path

OWN_MODEL = {
    "version": "2.0",
    "metadata": {
        "apiVersion": "2026-11-24",
        "endpointPrefix": "hatchway",
        "jsonVersion": "1.1",
        "protocol": "json",
        "serviceFullName": "Hatchway",
        "serviceId": "Hatchway",
        "signatureVersion": "v4",
        "targetPrefix": "Hatchway",
        "uid": "hatchway-2026-11-24",
    },
    "operations": {
        "Ping": {
            "name": "Ping",
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": "PingRequest"},
            "errors": [{"shape": "Asleep"}],
        }
    },
    "shapes": {
        "PingRequest": {"type": "structure", "members": {"Name": {"shape": "Text"}}},
        "Asleep": {
            "type": "structure",
            "exception": True,
            "error": {"httpStatusCode": 503},
            "members": {"message": {"shape": "Text"}, "Until": {"shape": "Text"}},
        },
        "Text": {"type": "string"},
    },
}


@pytest.mark.parametrize(
    ("name", "version", "protocol"),
    [
        ("ec2", "2016-11-15", "ec2"),
        ("iam", "2010-05-08", "query"),
        ("sts", "2011-06-15", "query"),
        ("ec2-instance-connect", "2018-04-02", "json"),
        ("cloudtrail", "2013-11-01", "json"),
        ("hatchway", "2026-11-24", "json"),
    ],
)
def test_a_service_is_the_one_that_its_credential_scope_names(name: str, version: str, protocol: str) -> None:
    service = load_service(name)

    assert (service.name, service.model.api_version, service.model.protocol) == (name, version, protocol)
    assert load_service(name) is service


@pytest.mark.parametrize("name", ["s3", "", "../ec2", "EC2"])
def test_other_services_are_unknown(name: str) -> None:
    with pytest.raises(UnknownServiceError):
        load_service(name)


def test_a_service_without_a_model_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_models, "OWN_MODELS", tmp_path)

    with pytest.raises(UnknownServiceError):
        service_models.load_model("hatchway")


def test_our_own_service_is_one_like_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hatchway" / "2026-11-24" / "service-2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(OWN_MODEL))
    monkeypatch.setattr(service_models, "OWN_MODELS", tmp_path)
    service = Service("hatchway", service_models.load_model("hatchway"))

    headers = {"x-amz-target": "Hatchway.Ping"}
    call = service.parse("POST", "/", "", "application/x-amz-json-1.1", headers, b'{"Name": "n"}')
    reply = service.render_error(ServiceError("Asleep", "zzz", fields={"Until": "noon"}), "request-1")

    assert call == Call("Ping", {"Name": "n"})
    assert reply.status == 503
    assert json.loads(reply.body) == {"__type": "Asleep", "message": "zzz", "Until": "noon"}


def test_nothing_is_read_from_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hatchway" / "2026-11-24" / "service-2.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(OWN_MODEL))
    monkeypatch.setattr("botocore.loaders.Loader.CUSTOMER_DATA_PATH", str(tmp_path))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    monkeypatch.setattr(service_models, "OWN_MODELS", tmp_path / "nothing")

    with pytest.raises(UnknownServiceError):
        service_models.load_model("hatchway")


def test_types_of_instances_need_not_be_of_aws() -> None:
    members = service_models.load_model("ec2").operation_model("DescribeInstanceTypes").input_shape.members
    assert members["InstanceTypes"].member.enum == []
