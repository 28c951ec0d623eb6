"""A host made of a few files and programs that pretend, for the script that sets a host up."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.host.script import HostLayout, host_script

INSTANCE_ID = "i-0123456789abcdef0"
TOKEN = HOST_TOKEN.write(BearerToken(INSTANCE_ID, bytes(range(32))))
API_URL = "https://hatchway.example.test:8443"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB" + "A" * 60 + "\nAAAA==\n-----END CERTIFICATE-----\n"

Done = subprocess.CompletedProcess[str]

# Each shell once: on Debian `sh` is dash.
SHELLS = list(
    {Path(path).resolve(): name for name in ("bash", "dash", "sh") if (path := shutil.which(name))}.values()
)

PROGRAMS = {
    # As far as the script asks: Include at the top, the first value counts, -o before all, -t and -T.
    "sshd": r"""
        config= options= mode= main= included= keys= include=no
        NL='
'
        while [ $# != 0 ]; do
            case $1 in
            -f) config=$2; shift ;;
            -f*) config=${1#-f} ;;
            -h*) keys="$keys${1#-h}$NL" ;;
            -oHostKey=*) keys="$keys${1#*=}$NL" ;;
            -o*=*) word=${1#-o} options="$options${word%%=*} ${word#*=}$NL" ;;
            -o*) options="$options${1#-o}$NL" ;;
            -t) mode=t ;;
            -T) mode=T ;;
            -x*) exit 1 ;;
            esac
            shift
        done
        while IFS= read -r line; do
            case $line in Include*) include=yes ;; esac
            main="$main$line$NL"
        done <"$config"
        if [ "$include" = yes ]; then
            for file in "$config.d"/*.conf; do
                if [ -e "$file" ]; then
                    while IFS= read -r line; do included="$included$line$NL"; done <"$file"
                fi
            done
        fi
        case $options$included$main in
        *Nonsense*)
            printf 'Bad configuration option: Nonsense\r\n' >&2
            exit 255
            ;;
        esac
        if [ "$mode" = t ]; then exit 0; fi
        command= account= pubkey= methods= root= users= pam=
        while IFS= read -r line; do
            value=${line#* }
            case $line in
            'AuthorizedKeysCommand '*) command=${command:-$value} ;;
            'AuthorizedKeysCommandUser '*) account=${account:-$value} ;;
            'PubkeyAuthentication '*) pubkey=${pubkey:-$value} ;;
            'AuthenticationMethods '*) methods=${methods:-$value} ;;
            'PermitRootLogin '*) root=${root:-$value} ;;
            'UsePAM '*) pam=${pam:-$value} ;;
            'AllowUsers '*) users="${users}allowusers $value$NL" ;;
            'DenyUsers '*) users="${users}denyusers $value$NL" ;;
            'AllowGroups '*) users="${users}allowgroups $value$NL" ;;
            'DenyGroups '*) users="${users}denygroups $value$NL" ;;
            esac
        done <<END_OF_LINES
$options$included$main
END_OF_LINES
        echo "authorizedkeyscommand ${command:-none}
authorizedkeyscommanduser ${account:-none}
pubkeyauthentication ${pubkey:-yes}
authenticationmethods ${methods:-any}
permitrootlogin ${root:-without-password}
listenaddress [::]:2222
listenaddress 0.0.0.0:2222"
        if [ -n "$pam" ]; then echo "usepam $pam"; fi
        printf '%s' "$users"
        printf '%s' "${keys:-$ROOT/etc/ssh/host_key$NL}" | sed 's/^/hostkey /'
    """,
    "id": r"""
        case $1 in
        -u) read -r uid <"$ROOT/uid"; echo "$uid" ;;
        -Gn) echo "$2" ;;
        *) [ -e "$ROOT/account" ] ;;
        esac
    """,
    "useradd": r"""
        echo "$@" >"$ROOT/account"
    """,
    "userdel": r"""
        rm "$ROOT/account"
    """,
    "getent": r"""
        if [ "$1" = hosts ]; then exit 2; fi
        if [ "$1" = shadow ]; then grep "^$2:" "$ROOT/shadow"; exit; fi
        if [ $# = 1 ]; then cat "$ROOT/users"; else cat "$ROOT/entry"; fi
    """,
    # What root owns on a host is somebody else's here.
    "stat": r"""
        case $* in
        *%U*) file=$ROOT/owner ;;
        *) file=$ROOT/mode ;;
        esac
        while read -r line || [ -n "$line" ]; do echo "$line"; done <"$file"
    """,
    "chown": r"""
        echo "$@" >>"$ROOT/owners"
    """,
    "curl": r"""
        printf '%s\n' "$@" >>"$ROOT/asked"
        case $* in
        */host/v1/enroll*)
            cat >"$ROOT/enrolled-with"
            cat "$ROOT/registered"
            echo "HTTP status $(cat "$ROOT/registered-answer")"
            exit 0
            ;;
        esac
        case $* in */host/v1/host-keys*) cat >"$ROOT/reported"; echo SHA256:AAAA ;; esac
        echo "HTTP status $(cat "$ROOT/answer")"
        status=$(cat "$ROOT/curl-status")
        if [ "$status" != 0 ]; then printf 'curl: (%s) Why it failed\nMore details here\n' "$status" >&2; fi
        exit "$(cat "$ROOT/curl-status")"
    """,
    "ssh-keygen": r"""
        case $* in
        '-y '*) sed 's/private/ssh-ed25519 AAAA/' "$5" ;;
        *) while [ "$1" != -f ]; do shift; done; echo private >"$2"; echo public >"$2.pub" ;;
        esac
    """,
    "ssh": r"""
        printf '%s ' "$@" >>"$ROOT/logins"
        echo 'root@127.0.0.1: Permission denied (publickey).' >&2
        exit "$(cat "$ROOT/login-status")"
    """,
    "sleep": "",
    "systemctl": r"""
        case $1 in
        is-active)
            case $2 in
            *.socket) if [ -e "$ROOT/socket-activated" ]; then echo active; else echo inactive; fi ;;
            *) if [ -e "$ROOT/idle" ]; then echo inactive; else echo active; fi ;;
            esac
            ;;
        reload) echo "$2" >>"$ROOT/reloads" ;;
        cat | try-restart)
            words=
            for file in "$ROOT/service" "$ROOT"/etc/systemd/ssh.service.d/*.conf; do
                if [ "$2" != ssh.service ] || [ ! -e "$file" ]; then continue; fi
                if [ "$1" = cat ]; then echo "# $file"; cat "$file"; fi
                while IFS= read -r line; do
                    case $line in ExecStart=?*) words=${line#ExecStart=} ;; esac
                done <"$file"
            done
            if [ "$1" = cat ]; then exit 0; fi
            echo "$2" >>"$ROOT/restarts"
            words=$(printf '%s' "$words" | sed -e 's/"//g' -e 's/%%/%/g' -e 's/ [$].*//')
            printf '%s' "sshd: $words [listener] 0 of 10-100 startups" >"$ROOT/proc/812/cmdline"
            if [ -e "$ROOT/restart-fails" ]; then rm "$ROOT/restart-fails"; exit 1; fi
            ;;
        show)
            case $2 in
            --property=ExecStart) file=$ROOT/unit ;;
            --property=*) file=$ROOT/${2#*=} ;;
            esac
            for name; do :; done
            if [ -e "$file-$name" ]; then file=$file-$name; fi
            if [ -e "$file" ]; then cat "$file"; fi
            ;;
        *) echo "$@" >>"$ROOT/units" ;;
        esac
    """,
}

USERS = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
postgres:x:100:100::/var/lib/postgresql:/bin/bash
ec2-user:x:1000:1000::/home/ec2-user:/bin/sh
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
"""

SHADOW = "root:*:19000:0:99999:7:::\nhatchway-keys:!:19000::::::\nec2-user:*:19000:0:99999:7:::\n"

FORMER_COMMAND = (
    "#!/bin/sh\n# sshd's AuthorizedKeysCommand: asks Hatchway which keys let USER into this host.\n"
)
MARK = "# Made by Hatchway's host script; its --uninstall removes it.\n"


@dataclass
class Host:
    root: Path
    shell: str = "sh"

    @property
    def layout(self) -> HostLayout:
        return HostLayout(
            directory=f"{self.root}/etc/hatchway-host",
            state=f"{self.root}/var/hatchway-host",
            former_directory=f"{self.root}/etc/hatchway",
            former_state=f"{self.root}/var/hatchway",
            sshd_config=f"{self.root}/etc/ssh/sshd_config",
            proc=f"{self.root}/proc",
            booted=f"{self.root}/run/systemd",
            units=f"{self.root}/etc/systemd",
            periodic=f"{self.root}/etc/periodic",
            path=f"{self.root}/bin:/usr/bin:/bin",
        )

    @property
    def sshd_config(self) -> Path:
        return self.root / "etc/ssh/sshd_config"

    @property
    def drop_in(self) -> Path:
        return self.root / "etc/ssh/sshd_config.d/00-hatchway.conf"

    @property
    def directory(self) -> Path:
        return self.root / "etc/hatchway-host"

    def run(
        self, *arguments: str, layout: HostLayout | None = None, script: str = "", **changes: Any
    ) -> Done:
        values = {"instance_id": INSTANCE_ID, "api_url": API_URL, "token": TOKEN, "ca_certificate_pem": PEM}
        text = script or host_script(**values | changes, layout=layout or self.layout)
        # On standard input, as `hatchway host script … | ssh root@host sh` has it.
        return subprocess.run(
            [self.shell, "-s", "--", *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,
        )

    def files(self) -> dict[str, str]:
        """Everything under etc and var: names with modes and contents; and the account."""
        account = self.root / "account"
        found = {"account": account.read_text() if account.exists() else ""}
        for top in ("etc", "var"):
            for path in sorted((self.root / top).rglob("*")):
                content = path.read_text() if path.is_file() else ""
                found[f"{path.relative_to(self.root)} {path.stat().st_mode & 0o777:o}"] = content
        return found

    def keep(self, name: str) -> None:
        """Keeps what `files` shows, for `put_back`, which takes less time than a run of the script."""
        kept = self.root / "kept" / name
        for top in ("etc", "var"):
            shutil.copytree(self.root / top, kept / top, symlinks=True)
        if (self.root / "account").exists():
            shutil.copy2(self.root / "account", kept / "account")

    def put_back(self, name: str) -> None:
        kept = self.root / "kept" / name
        for top in ("etc", "var"):
            shutil.rmtree(self.root / top)
            shutil.copytree(kept / top, self.root / top, symlinks=True)
        (self.root / "account").unlink(missing_ok=True)
        if (kept / "account").exists():
            shutil.copy2(kept / "account", self.root / "account")

    def place_former(self) -> None:
        """What earlier versions of the script left on a host."""
        for name in ("etc/hatchway", "var/hatchway"):
            (self.root / name).mkdir()
        (self.root / "etc/hatchway/authorized-keys").write_text(FORMER_COMMAND)
        (self.root / "etc/hatchway/curl.conf").write_text(f'header = "Authorization: Bearer {TOKEN}"\n')
        (self.root / "etc/hatchway/ca.pem").write_text(PEM)
        (self.root / "var/hatchway/no-answer-since").write_text("1\n")
        command = f"AuthorizedKeysCommand {self.root}/etc/hatchway/authorized-keys %u %f\n"
        self.drop_in.write_text(f"{MARK}{command}AuthorizedKeysCommandUser hatchway-keys\n")
        (self.root / "account").write_text("")

    def start_sshd(
        self, title: str, pid: int = 812, *, uids: str = "0 0 0 0", program: str = "/usr/sbin/sshd"
    ) -> None:
        """A running sshd, as /proc shows it."""
        process = self.root / "proc" / str(pid)
        (process / "ns").mkdir(parents=True)
        (process / "ns/pid").symlink_to("pid:[1]")
        (process / "comm").write_text("sshd\n")
        (process / "cmdline").write_text(title)
        (process / "status").write_text("Name:\tsshd\nUid:\t" + uids.replace(" ", "\t") + "\n")
        (process / "exe").symlink_to(program)

    def of_service(self, name: str, pid: int = 812) -> None:
        """Has that process be the main one of a service of systemd's."""
        (self.root / f"proc/{pid}/cgroup").write_text(f"0::/system.slice/{name}.service\n")
        (self.root / f"MainPID-{name}.service").write_text(f"{pid}\n")


def make_host(root: Path, shell: str = "sh") -> Host:
    for name in ("bin", "etc/ssh/sshd_config.d", "var", "proc/self/ns"):
        (root / name).mkdir(parents=True)
    (root / "proc/self/ns/pid").symlink_to("pid:[1]")
    for name, text in PROGRAMS.items():
        program = root / "bin" / name
        program.write_text(f"#!/bin/sh\nROOT={shlex.quote(str(root))}\n{text}")
        program.chmod(0o755)
    contents = {
        "uid": "0",
        "answer": "200",
        "curl-status": "0",
        "login-status": "0",
        "registered-answer": "200",
        "mode": "0 755",
        "owner": "hatchway\n",
    }
    entry = "hatchway-keys:x:999:999::/nonexistent:/sbin/nologin\n"
    for name, text in {**contents, "users": USERS, "entry": entry, "shadow": SHADOW}.items():
        (root / name).write_text(text)
    (root / "etc/ssh/host_key").write_text("private\n")
    made = Host(root, shell)
    made.sshd_config.write_text(f"Include {made.sshd_config}.d/*.conf\nPubkeyAuthentication yes\n")
    return made
