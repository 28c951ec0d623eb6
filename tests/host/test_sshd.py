"""What the script sees of sshd: how it runs, and for whom its configuration lets a pushed key count."""

import signal
import subprocess
from pathlib import Path

import pytest
from tests.host.pretend import Host


def seen(host: Host) -> tuple[int, str]:
    done = host.run()
    return done.returncode, done.stdout + done.stderr


def start(
    host: Host, options: str, pid: int = 812, title: str = "sshd: {} [listener] 0 of 10-100 startups\0"
) -> None:
    host.start_sshd(title.format(f"{host.root}/bin/sshd {options}"), pid)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("-D -o AuthorizedKeysCommand=/usr/bin/other", "another AuthorizedKeysCommand, /usr/bin/other"),
        ("-D -o AuthorizedKeysCommand /usr/bin/other %u", "another AuthorizedKeysCommand, /usr/bin/other %u"),
        ("-oAuthorizedKeysCommandUser=bob -D", "AuthorizedKeysCommandUser bob"),
        ("-D -e -oPubkeyAuthentication=no -p 22", "PubkeyAuthentication no"),
        ("-D -o AuthenticationMethods=password", "AuthenticationMethods password"),
        ("-D -o AllowUsers=git", "AllowUsers git"),
    ],
)
def test_an_sshd_whose_options_leave_no_key_a_chance_is_an_error(
    one_host: Host, options: str, reason: str
) -> None:
    start(one_host, options)
    before = one_host.files()
    status, text = seen(one_host)
    assert status == 1
    assert reason in text
    assert "(nothing was changed)" in text
    assert "set up" not in text
    assert one_host.files() == before


def test_an_sshd_with_another_configuration_file_is_an_error_that_names_the_line_to_add(
    one_host: Host,
) -> None:
    other = one_host.root / "other_config"
    other.write_text("PubkeyAuthentication yes\n")
    start(one_host, f"-D -f {other}")
    status, text = seen(one_host)
    assert status == 1
    assert f"Include {one_host.sshd_config}.d/*.conf" in text


def test_an_sshd_of_older_versions_shows_its_arguments_themselves(one_host: Host) -> None:
    program = one_host.root / "bin/sshd"
    one_host.start_sshd(f"{program}\0-D\0-o\0PubkeyAuthentication=no\0")
    status, text = seen(one_host)
    assert (status, "PubkeyAuthentication no" in text) == (1, True)


def test_a_container_s_sshd_and_a_login_s_are_not_looked_at(one_host: Host) -> None:
    start(one_host, "-D")
    start(one_host, "-D -oPubkeyAuthentication=no", pid=900)
    (one_host.root / "proc/900/ns/pid").unlink()
    (one_host.root / "proc/900/ns/pid").symlink_to("pid:[2]")
    one_host.start_sshd("sshd: ec2-user [priv]\0", pid=901)
    status, text = seen(one_host)
    assert status == 0
    assert "(process 812) asks" in text
    assert "process 90" not in text


@pytest.mark.parametrize(
    ("uids", "program"),
    [
        ("1000 1000 1000 1000", "/tmp/sshd"),
        ("1000 1000 1000 1000", "/usr/sbin/sshd"),
        ("1000 0 0 0", "/usr/bin/passwd"),
        ("0 0 0 0", "/usr/bin/sudo"),
    ],
)
def test_a_process_that_only_calls_itself_sshd_has_nothing_run(
    one_host: Host, uids: str, program: str
) -> None:
    start(one_host, "-D")
    own = one_host.root / "own"
    own.write_text(f"#!/bin/sh\necho taken >{one_host.root}/taken\n")
    own.chmod(0o755)
    for pid, title in enumerate((f"{own}\0-D\0", f"sshd: {own} -D [listener] 0 of 10-100 startups\0"), 900):
        one_host.start_sshd(title, pid, uids=uids, program=program)
    status, text = seen(one_host)
    assert (status, "process 90" in text) == (0, False), text
    assert not (one_host.root / "taken").exists()


def test_of_two_sshds_the_one_that_asks_is_told_from_the_one_that_does_not(one_host: Host) -> None:
    start(one_host, "-D")
    start(one_host, "-D -oPubkeyAuthentication=no", pid=900)
    status, text = seen(one_host)
    assert status == 0
    assert "sshd (process 812) asks Hatchway for keys of: users yet to be made, root, ec2-user\n" in text
    assert (
        "sshd (process 900) lets in no key from Hatchway for root: it has PubkeyAuthentication no\n" in text
    )


@pytest.mark.parametrize("title", ["sshd: {}", "sshd: {} -x [listener] 0 of 10-100 startups\0"])
def test_what_cannot_be_read_of_an_sshd_is_said_not_to_have_been_seen(one_host: Host, title: str) -> None:
    start(one_host, "-D", title=title)
    status, text = seen(one_host)
    assert status == 0
    assert "not seen: what sshd (process 812) was started with" in text


def test_an_sshd_that_does_not_run_is_said_not_to_have_been_seen(one_host: Host) -> None:
    status, text = seen(one_host)
    assert status == 0
    assert "not seen: a running sshd" in text


@pytest.mark.parametrize(
    ("line", "reason", "kept_out"),
    [
        ("PermitRootLogin no", "PermitRootLogin no", "root"),
        ("DenyUsers ec2-user", "DenyUsers ec2-user", "ec2-user"),
        ("DenyUsers ec2-*", "DenyUsers ec2-*", "ec2-user"),
        ("AllowUsers root@10.0.0.0/8", "AllowUsers root@10.0.0.0/8", "ec2-user"),
        ("DenyUsers ec2-user *@192.0.2.66", "DenyUsers ec2-user *@192.0.2.66", "ec2-user"),
        ("AllowGroups root", "AllowGroups root", "ec2-user"),
        ("DenyGroups ec2-user", "DenyGroups ec2-user", "ec2-user"),
    ],
)
def test_a_user_whom_sshd_keeps_out_is_named_with_the_reason(
    one_host: Host, line: str, reason: str, kept_out: str
) -> None:
    with one_host.sshd_config.open("a") as file:
        file.write(f"{line}\n")
    start(one_host, "-D")
    status, text = seen(one_host)
    assert status == 0
    assert f"lets in no key from Hatchway for {kept_out}: it has {reason}\n" in text
    (asked,) = [line.partition("keys of: ")[2] for line in text.splitlines() if "asks Hatchway" in line]
    assert kept_out not in asked
    assert set(asked.split(", ")) <= {"users yet to be made", "root", "ec2-user"}


@pytest.mark.parametrize("line", ["", "UsePAM no\n"])
@pytest.mark.parametrize("password", ["!", "!!", "!$6$abc"])
def test_an_account_that_is_locked_is_named_where_sshd_takes_no_key_for_it(
    one_host: Host, line: str, password: str
) -> None:
    with one_host.sshd_config.open("a") as file:
        file.write(line)
    shadow = one_host.root / "shadow"
    shadow.write_text(shadow.read_text().replace("ec2-user:*", f"ec2-user:{password}"))
    start(one_host, "-D")
    status, text = seen(one_host)
    assert status == 0
    assert "lets in no key from Hatchway for ec2-user: the account is locked" in text
    # Which Alpine has too, other than usermod.
    assert "(echo 'ec2-user:*' | chpasswd -e leaves" in text
    # The command's own account is locked too, and lets nobody in.
    assert "asks Hatchway for keys of: users yet to be made, root\n" in text


def test_an_account_that_is_locked_is_let_in_with_pam(one_host: Host) -> None:
    with one_host.sshd_config.open("a") as file:
        file.write("UsePAM yes\n")
    shadow = one_host.root / "shadow"
    shadow.write_text(shadow.read_text().replace("ec2-user:*", "ec2-user:!"))
    start(one_host, "-D")
    _, text = seen(one_host)
    assert "asks Hatchway for keys of: users yet to be made, root, ec2-user\n" in text


def test_who_is_kept_out_by_his_address_alone_is_not_kept_out(one_host: Host) -> None:
    with one_host.sshd_config.open("a") as file:
        file.write("DenyUsers *@192.0.2.66\n")
    start(one_host, "-D")
    status, text = seen(one_host)
    assert status == 0
    assert "asks Hatchway for keys of: users yet to be made, root, ec2-user\n" in text
    assert (
        "not seen: from which addresses sshd (process 812) lets users in: it has denyusers *@192.0.2.66"
        in text
    )


def test_match_blocks_that_bear_on_keys_are_named_as_not_seen(one_host: Host) -> None:
    (one_host.sshd_config.with_name("sshd_config.d") / "50-sftp.conf").write_text(
        "Match address 10.9.0.0/16\n  # AllowUsers\n  authorizedkeyscommand /usr/bin/other\n  Banner no\n"
    )
    start(one_host, "-D")
    status, text = seen(one_host)
    assert status == 0
    notes = [line for line in text.splitlines() if "not seen: connections" in line]
    assert notes == [
        "hatchway: not seen: connections for which 'Match address 10.9.0.0/16' in"
        f" {Path(one_host.layout.sshd_config)}.d/50-sftp.conf sets authorizedkeyscommand /usr/bin/other"
    ]


def test_match_blocks_are_found_however_they_are_written_and_wherever_they_stand(one_host: Host) -> None:
    main = one_host.sshd_config
    other = one_host.root / "other_config"
    main.with_name("more").mkdir()
    # The sshd that pretends includes nothing else.
    other.with_name("other_config.d").symlink_to(main.with_name("sshd_config.d"))
    included = main.with_name("more") / "a.conf"
    with main.open("a") as file:
        file.write('MATCH Address=10.9.0.0/16\nPermitRootLogin=no\n"PubkeyAuthentication" "no"\n')
        file.write("Match all\nPermitRootLogin no\ninclude more/*.conf\n")
    included.write_text(f"Match User git\n\tAuthenticationMethods\tpassword\nInclude {included}\n")
    other.write_text("Include sshd_config.d/*.conf\nMatch Host x\nPubkeyAcceptedAlgorithms y\n")
    start(one_host, f"-D -f{other}")
    status, text = seen(one_host)
    assert status == 0, text
    notes = [line.partition("for which ")[2] for line in text.splitlines() if "not seen: connections" in line]
    assert notes == [
        f"'Match Address=10.9.0.0/16' in {main} sets permitrootlogin no",
        f"'Match Address=10.9.0.0/16' in {main} sets pubkeyauthentication no",
        f"'Match User git' in {included} sets authenticationmethods password",
        f"'Match Host x' in {other} sets pubkeyacceptedalgorithms y",
    ]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("-D $SSHD_OPTS", 0, "asks Hatchway for keys of: users yet to be made, root, ec2-user"),
        (
            "-D -o AuthorizedKeysCommand /usr/share/eic %%u %%f -o AuthorizedKeysCommandUser eic $SSHD_OPTS",
            1,
            "another AuthorizedKeysCommand, /usr/share/eic %u %f, from the -o that it is started with",
        ),
    ],
)
def test_an_sshd_that_its_socket_starts_is_seen_as_its_unit_starts_it(
    one_host: Host, options: str, status: int, said: str
) -> None:
    program = f"{one_host.root}/bin/sshd"
    (one_host.root / "unit").write_text(
        f"ExecStart={{ path={program} ; argv[]={program} {options} ; ignore_errors=no ; pid=0 }}\n"
    )
    before = one_host.files()
    found, text = seen(one_host)
    assert (found, said in text) == (status, True), text
    if status:
        assert one_host.files() == before
    else:
        assert "more than its unit and its configuration" not in text
        assert "stronger than its unit and its configuration" in text


def test_keys_that_sshd_has_by_its_options_are_reported_with_those_of_every_other_sshd(
    one_host: Host,
) -> None:
    for name in ("by-option", "by-setting"):
        (one_host.root / "etc/ssh" / name).write_text(f"private {name}\n")
    keys = f"{one_host.root}/etc/ssh"
    start(one_host, f"-D -h {keys}/by-option -o HostKey={keys}/by-setting -h {keys}/nowhere")
    start(one_host, "-D", 813)
    done = one_host.run()
    assert (done.returncode, done.stderr) == (0, "")
    listed = (one_host.directory / "host-keys").read_text().split()
    assert listed == [f"{keys}/by-option", f"{keys}/by-setting", f"{keys}/host_key"]
    reported = (one_host.root / "reported").read_text().splitlines()
    assert reported == ["ssh-ed25519 AAAA by-option", "ssh-ed25519 AAAA by-setting", "ssh-ed25519 AAAA"]


def test_an_sshd_that_no_service_has_is_told_itself_whatever_a_service_says(one_host: Host) -> None:
    for name, status in (("systemctl", 3), ("service", 0)):
        program = one_host.root / "bin" / name
        program.write_text(f"#!/bin/sh\nexit {status}\n")
        program.chmod(0o755)
    with subprocess.Popen(["sleep", "60"]) as sshd:
        start(one_host, "-D", sshd.pid)
        one_host.run()
        sshd.terminate()
    assert sshd.returncode == -signal.SIGHUP


def test_every_sshd_is_told_whatever_starts_it(one_host: Host) -> None:
    (one_host.root / "KillMode").write_text("process\n")
    with subprocess.Popen(["sleep", "60"]) as by_hand:
        start(one_host, "-D")
        one_host.of_service("ssh")
        start(one_host, "-D -p 2022", by_hand.pid)
        # In a session of its own, or what is left of the service's former one.
        (one_host.root / f"proc/{by_hand.pid}/cgroup").write_text("0::/system.slice/ssh.service\n")
        assert seen(one_host)[0] == 0
        by_hand.terminate()
    assert by_hand.returncode == -signal.SIGHUP
    assert (one_host.root / "reloads").read_text() == "ssh.service\n"
    # One that has its socket from systemd would end at that.
    (one_host.root / "socket-activated").touch()
    one_host.of_service("sshd-of-admins", by_hand.pid)
    assert seen(one_host)[0] == 0
    assert (one_host.root / "restarts").read_text() == "ssh.service\nsshd-of-admins.service\n"


@pytest.mark.parametrize("arguments", [[], ["--uninstall"]])
@pytest.mark.parametrize("by_service", [True, False])
def test_an_sshd_that_would_end_as_its_configuration_has_become_wrong_is_left_as_it_runs(
    one_host: Host, arguments: list[str], *, by_service: bool
) -> None:
    reloads = one_host.root / "reloads"
    if arguments:
        assert one_host.run().returncode == 0
        reloads.unlink()
    other = one_host.root / "other_config"
    other.write_text("Nonsense yes\n")
    with subprocess.Popen(["sleep", "60"]) as sshd, subprocess.Popen(["sleep", "60"]) as healthy:
        start(one_host, "-D -p 2022", healthy.pid)
        start(one_host, f"-D -f {other}", sshd.pid)
        if by_service:
            # Of which the other is an alias.
            for name in ("sshd", "ssh"):
                one_host.of_service(name, sshd.pid)
        else:
            (one_host.root / "idle").touch()
        done = one_host.run(*arguments)
        sshd.terminate()
        healthy.terminate()
    assert done.returncode == 0, done
    assert (sshd.returncode, healthy.returncode) == (-signal.SIGTERM, -signal.SIGHUP)
    assert f"warning: sshd (process {sshd.pid}) does not accept its configuration" in done.stdout
    assert not reloads.exists()


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize(
    ("listens", "place"),
    [
        ("[::]:2022", "-p 2022 root@::1"),
        ("[::]:2022 0.0.0.0:2022", "-p 2022 root@127.0.0.1"),
        # By which a machine is reached from the one that it runs on (vsock(7)).
        ("vsock:4294967295:22 10.0.1.1:2022", "-p 2022 root@10.0.1.1"),
        ("/run/sshd.sock", "-p 2222 root@127.0.0.1"),
    ],
)
def test_an_sshd_is_tried_where_its_socket_listens(
    one_host: Host, listens: str, place: str, *, runs: bool
) -> None:
    root = one_host.root
    (root / "socket-activated").touch()
    (root / "KillMode").write_text("process\n")
    (root / "users").write_text("root:x:0:0:root:/root:/bin/bash\n")
    lines = [f"Listen={address} (Stream)\n" for address in listens.split()]
    (root / "Listen-ssh.socket").write_text("".join(lines))
    (root / "unit").write_text(
        f"ExecStart={{ path={root}/bin/sshd ; argv[]={root}/bin/sshd -D ; ignore_errors=no }}\n"
    )
    if runs:
        start(one_host, "-D")
        one_host.of_service("ssh")
    else:
        (root / "idle").touch()
    status, text = seen(one_host)
    assert status == 0, text
    assert f" {place} true" in (root / "logins").read_text()


def test_where_each_connection_has_an_sshd_of_its_own_that_one_is_looked_at(one_host: Host) -> None:
    root = one_host.root
    for name in ("socket-activated", "idle"):
        (root / name).touch()
    (root / "Accept-ssh.socket").write_text("yes\n")
    (root / "unit-ssh@hatchway.service").write_text(
        f"ExecStart={{ path={root}/bin/sshd ; argv[]={root}/bin/sshd -i -oPubkeyAuthentication=no"
        " $SSHD_OPTS ; ignore_errors=yes }\n"
    )
    status, text = seen(one_host)
    assert (status, "it has PubkeyAuthentication no" in text) == (1, True), text
