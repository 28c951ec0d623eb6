"""A small service with a member of each type that a model can have, in each of the three protocols."""

from __future__ import annotations

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
