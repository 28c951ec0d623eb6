"""A small service with a member of each type that a model can have, in each of the three protocols."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.model import ServiceModel, Shape

TEXT = {"shape": "Text"}
SHAPES: dict[str, Any] = {
    "Text": {"type": "string"},
    "Secret": {"type": "string", "sensitive": True, "max": 4},
    "Colour": {"type": "string", "enum": ["red", "green"]},
    "Code": {"type": "string", "pattern": "[a-z]+", "min": 2, "max": 4},
    "policyDocumentType": {"type": "string"},
    "Flag": {"type": "boolean"},
    "Count": {"type": "integer", "min": 1, "max": 9},
    "Number": {"type": "integer"},
    "Long": {"type": "long"},
    "Float": {"type": "float"},
    "Double": {"type": "double"},
    "When": {"type": "timestamp"},
    "Data": {"type": "blob", "max": 3},
    "Names": {"type": "list", "member": TEXT, "max": 2},
    "Secrets": {"type": "list", "member": {"shape": "Secret"}, "max": 1},
    "Labels": {"type": "map", "key": {"shape": "Code"}, "value": TEXT, "max": 2},
    "Item": {"type": "structure", "required": ["Name"], "members": {"Name": TEXT}},
    "Items": {"type": "list", "member": {"shape": "Item"}},
    "Everything": {
        "type": "structure",
        "members": {
            "Text": TEXT,
            "Renamed": {"shape": "Text", "locationName": "spelledOtherwise"},
            "Queried": {"shape": "Text", "locationName": "queried", "queryName": "InQueries"},
            "Secret": {"shape": "Secret"},
            "Colour": {"shape": "Colour"},
            "Code": {"shape": "Code"},
            "Document": {"shape": "policyDocumentType"},
            "Flag": {"shape": "Flag"},
            "Count": {"shape": "Count"},
            "Number": {"shape": "Number"},
            "Long": {"shape": "Long"},
            "Float": {"shape": "Float"},
            "Double": {"shape": "Double"},
            "When": {"shape": "When"},
            "Data": {"shape": "Data"},
            "Names": {"shape": "Names"},
            "Secrets": {"shape": "Secrets"},
            "Labels": {"shape": "Labels"},
            "Item": {"shape": "Item"},
            "Items": {"shape": "Items"},
        },
    },
    "Asleep": {
        "type": "structure",
        "exception": True,
        "error": {"httpStatusCode": 503},
        "members": {"message": TEXT, "Until": TEXT},
    },
}


def model(protocol: str) -> ServiceModel:
    """The service in `ec2`, `query` or `json`."""
    output: dict[str, Any] = {"shape": "Everything"}
    if protocol == "query":
        output["resultWrapper"] = "DoResult"
    return ServiceModel(
        {
            "metadata": {
                "apiVersion": "2026-11-24",
                "endpointPrefix": "sample",
                "jsonVersion": "1.1",
                "protocol": protocol,
                "serviceFullName": "Sample",
                "serviceId": "Sample",
                "signatureVersion": "v4",
                "targetPrefix": "Sample_20261124",
                "xmlNamespace": "https://sample.example/doc",
            },
            "operations": {
                "Do": {
                    "name": "Do",
                    "http": {"method": "POST", "requestUri": "/"},
                    "input": {"shape": "Everything"},
                    "output": output,
                    "errors": [{"shape": "Asleep"}],
                },
                "Rest": {"name": "Rest", "http": {"method": "POST", "requestUri": "/"}},
            },
            "shapes": SHAPES,
        },
        "sample",
    )


def shape(name: str) -> Shape:
    return model("json").shape_for(name)


EVERYTHING: dict[str, Any] = {
    "Text": None,
    "Renamed": "a",
    "Flag": True,
    "Number": 7,
    "Long": 1 << 40,
    "Float": 0.5,
    "Double": 2,
    "When": datetime(2026, 11, 24, 6, 17, 23, 500_000, tzinfo=UTC),
    "Data": b"\0\1",
    "Names": ("a", "b"),
    "Labels": {"ab": "x"},
    "Item": {"Name": "n"},
    "Items": [{"Name": "m"}],
}
"""A result of the sample with a value of each type."""

UNLIKE_THE_MODEL: list[tuple[str, str, dict[str, Any], type[Exception]]] = [
    ("ec2", "DescribeVpcs", {"Colour": "red"}, KeyError),
    ("ec2", "DescribeVpcs", {"Vpcs": [{"Colour": "red"}]}, KeyError),
    ("ec2", "DescribeVpcs", {"Vpcs": "vpc-1"}, TypeError),
    ("ec2", "DescribeVpcs", {"Vpcs": {}}, TypeError),
    ("ec2", "DescribeVpcs", {"Vpcs": ["vpc-1"]}, TypeError),
    ("ec2", "DescribeVpcs", {"NextToken": 7}, TypeError),
    ("ec2", "DescribeVpcs", {"Vpcs": [{"IsDefault": "true"}]}, TypeError),
    ("ec2", "DescribeSubnets", {"Subnets": [{"AvailableIpAddressCount": True}]}, TypeError),
    ("iam", "CreateUser", {"User": {"CreateDate": datetime(2026, 1, 1)}}, TypeError),
    ("iam", "CreateUser", {"User": {"CreateDate": "2026-01-01T00:00:00Z"}}, TypeError),
    ("iam", "DeleteUser", {"User": {}}, KeyError),
    ("cloudtrail", "LookupEvents", {"Events": [{"EventTime": datetime(2026, 1, 1)}]}, TypeError),
    ("cloudtrail", "LookupEvents", {"Events": [{"Colour": "red"}]}, KeyError),
    ("cloudtrail", "LookupEvents", {"NextToken": b"t"}, TypeError),
]
"""Of real services: operation, a result that its model does not have, and what rendering it raises."""
