"""Tables of hosts as spreadsheets write them."""

import pytest
from tests.fleet.importers.sound import sound

from hatchway.fleet.importers import csv_table
from hatchway.fleet.importers.csv_table import read_csv
from hatchway.fleet.importers.hosts import NotImported, to_fleet

TABLE = b"""\xef\xbb\xbfHostname;IP Address;IPv6;Rack;tag:env;Type;ID;Status
web-1;10.5.0.1;;r1;dev;rack.r640;i-0123456789abcdef0;Stopped
web-2;;fd00::2;r1;;Rack R640;x;asleep
;10.5.0.3;;;;;;
;;;;;;;
short;10.5.0.4
"""


def test_columns_are_known_by_what_people_call_them_and_the_others_are_said() -> None:
    found = read_csv(TABLE)
    fleet = sound(to_fleet(found, vpc="v"))
    assert fleet["instances"]["web-1"] == {
        "id": "i-0123456789abcdef0",
        "subnet": "v/10.5.0.0-24",
        "private_ip": "10.5.0.1",
        "state": "stopped",
        "instance_type": "rack.r640",
        "tags": {"Name": "web-1", "env": "dev"},
    }
    assert fleet["instances"]["web-2"]["ipv6"] == "fd00::2"
    assert set(fleet["instances"]) == {"web-1", "web-2", "short"}
    assert found.notes == [
        "columns that mean nothing here are left out: 'Rack' (a tag is in tag:KEY)",
        "web-2: 'x' is no instance's id, and left out",
        "web-2: the state 'asleep' is none that there is, and left out",
        "line 4 is left out: it has no name or no address",
        "web-2: 'Rack R640' is no instance type, and left out",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no column 'name'"),
        (b"name,colour\na,b", "no column 'address'"),
        (b'name,ip\n"a', "it is no table"),
        (b"name,ip\na,1\nb,2\n", "more than 1 hosts"),
    ],
)
def test_what_is_no_such_table_is_refused(
    content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "MOST_HOSTS", 1)
    with pytest.raises(NotImported, match=words):
        read_csv(content)
