"""Certificates that a server is given are looked at when it starts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.server.certificates import check_certificate


@pytest.mark.parametrize(
    ("issued_days_ago", "told"),
    [(1, []), (500, ["warning"]), (-2, ["warning"])],
    ids=["good", "ended", "not begun"],
)
def test_a_certificate_with_which_no_client_connects_is_told_of_at_the_start(
    tmp_path: Path, issued_days_ago: int, told: list[str]
) -> None:
    issued = datetime.now(UTC) - timedelta(days=issued_days_ago)
    pair = issue_server_certificate(create_ca("test", ["localhost"], issued), ["localhost"], issued)
    certificate, key = tmp_path / "server.crt", tmp_path / "server.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    with capture_logs() as logged:
        check_certificate(certificate, key)
    assert [entry["log_level"] for entry in logged] == told
    assert all("clock" in entry["problem"] for entry in logged)
