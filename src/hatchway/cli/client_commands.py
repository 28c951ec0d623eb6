"""Commands for people who need to reach a host: they talk to the API and the gateway, as the AWS CLI does."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from hatchway.cli import connecting
from hatchway.cli.client_options import CallerArguments, client_errors
from hatchway.cli.host_commands import complete_hosts
from hatchway.cli.option_groups import with_option_groups
from hatchway.cli.printable import say
from hatchway.cli.short_lines import split_words
from hatchway.domain.tunnel_protocol import LONGEST_DURATION

if TYPE_CHECKING:
    from hatchway.client.discovery.discovery import TunnelOptions

_EndpointId = Annotated[
    str | None,
    typer.Option("--instance-connect-endpoint-id", metavar="ID", help="The endpoint to go through."),
]
_EndpointDnsName = Annotated[
    str | None,
    typer.Option("--instance-connect-endpoint-dns-name", metavar="NAME", help="The endpoint's DnsName."),
]
_Duration = Annotated[
    int | None,
    typer.Option(
        "--max-tunnel-duration",
        metavar="SECONDS",
        min=1,
        max=LONGEST_DURATION,
        help="After how long to cut the tunnel; by default 3600, or as much as the account allows.",
    ),
]
_GatewayPort = Annotated[
    int | None,
    typer.Option(
        metavar="PORT", min=1, max=65535, help="The gateway's port; by default what the API says, else 443."
    ),
]
_GatewayAddress = Annotated[
    str | None, typer.Option(metavar="HOST", help="The gateway's address, if DnsName does not resolve to it.")
]
_SourceAddress = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="The local address to connect from.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _TunnelArguments:
    """What `ssh` and `open-tunnel` are told of the tunnel."""

    endpoint_id: _EndpointId = None
    endpoint_dns_name: _EndpointDnsName = None
    max_tunnel_duration: _Duration = None
    gateway_port: _GatewayPort = None
    gateway_address: _GatewayAddress = None
    source_address: _SourceAddress = None

    def options(self) -> "TunnelOptions":
        from hatchway.client.discovery.discovery import TunnelOptions

        return TunnelOptions(
            instance_connect_endpoint_id=self.endpoint_id,
            instance_connect_endpoint_dns_name=self.endpoint_dns_name,
            max_tunnel_duration=self.max_tunnel_duration,
            gateway_port=self.gateway_port,
            gateway_address=self.gateway_address,
            source_address=self.source_address,
        )


class _SshCommand(TyperCommand):
    """All words but options of ours, which have two dashes and stand before the remote command, are ssh's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = [option for option in self.get_params(ctx) if option.param_type_name == "option"]
        flags = {name for option in options for name in option.opts if getattr(option, "is_flag", False)}
        valued = {name for option in options for name in option.opts} - flags
        ours, of_ssh = split_words(args, flags, valued)
        return super().parse_args(ctx, [*ours, "--", *of_ssh] if of_ssh else ours)


def register(app: typer.Typer) -> None:
    app.command("ssh", cls=_SshCommand)(ssh)
    app.command("ssh-config")(ssh_config)
    app.command("open-tunnel")(open_tunnel)
    app.command("forward")(forward)
    app.command("rdp")(rdp)


@with_option_groups
def ssh(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SSH OPTIONS] [USER@]HOST [SSH OPTIONS] [COMMAND]",
            help="As for ssh. Give the host by its Name tag, private address or instance id.",
            autocompletion=complete_hosts,
        ),
    ] = None,
    *,
    os_user: Annotated[
        str | None, typer.Option(metavar="USER", help="The user on the host; by default ec2-user.")
    ] = None,
    remote_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="The port of the host's sshd; by default 22."),
    ] = None,
    tunnel: _TunnelArguments,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")] = False,
    caller: CallerArguments,
) -> None:
    """Open a shell on a host, or run a command there.

    Pushes a key that is valid for 60 seconds, then runs ssh through a tunnel. Exits with ssh's exit status.
    Everything except the options below is passed to ssh, in ssh's order and with ssh's meaning.

    \b
    Examples:
      hatchway ssh admin@web-1
      hatchway ssh --max-tunnel-duration 600 -L 8080:localhost:80 i-0123456789abcdef0 uptime
      rsync -e 'hatchway ssh' -a site/ admin@web-1:site/
    """
    raise typer.Exit(
        connecting.ssh(
            words or (),
            os_user=os_user,
            remote_port=remote_port,
            dry_run=dry_run,
            tunnel=tunnel.options(),
            caller=caller.options(),
        )
    )


@with_option_groups
def ssh_config(
    *,
    os_user: Annotated[
        str,
        typer.Option(
            metavar="USER", help="The user if ssh is given none; ec2-user by default.", show_default=False
        ),
    ] = "ec2-user",
    remove: Annotated[bool, typer.Option("--remove", help="Remove it again.")] = False,
    ssh_directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where OpenSSH's files are; by default ~/.ssh.")
    ] = None,
    tunnel: _TunnelArguments,
    caller: CallerArguments,
) -> None:
    """Configure ssh, scp and rsync to reach hosts by name or id.

    This also works for any other program that runs ssh. Writes files to ~/.ssh/hatchway, and a line at the
    beginning of ~/.ssh/config that includes them. Run it again when hosts change. Each profile has its own
    files; --remove removes those of one profile.

    \b
    Examples:
      hatchway ssh-config
      hatchway ssh-config --os-user admin --profile lab
      hatchway ssh-config --remove
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.discovery import check_os_user
    from hatchway.client.ssh.ssh_config import told_apart
    from hatchway.client.ssh.ssh_setup import remove_ssh_config, write_ssh_config
    from hatchway.client.tunnel.local import check_system

    with client_errors():
        if remove:
            for path in remove_ssh_config(caller.options(), ssh_directory):
                say(f"Took away what was written to {path}")
            return
        check_system()
        check_os_user(os_user)
        written = write_ssh_config(Profile(caller.options()), os_user, tunnel.options(), ssh_directory)
    for line in told_apart(written.apart):
        say(line[:500])
    called = sum(1 for host in written.hosts if host.names)
    reported = f"{written.verified} {'has' if written.verified == 1 else 'have'} reported their keys"
    count = f"{len(written.hosts)} host{'' if len(written.hosts) == 1 else 's'}"
    say(f"{written.file}: {count}, {called} by name; {reported}")
    if written.changed:
        say(f"{written.file.parent.parent / 'config'} includes it now")
    example = next((host.names[0] for host in written.hosts if host.names), None)
    if example is not None:
        say(f"Try: ssh {example}")


@with_option_groups
def open_tunnel(
    host: Annotated[
        str | None,
        typer.Argument(
            metavar="HOST",
            help="The host, by its Name tag, private address or instance id.",
            autocompletion=complete_hosts,
        ),
    ] = None,
    *,
    instance_id: Annotated[str | None, typer.Option(metavar="ID", help="The instance to reach.")] = None,
    private_ip_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The address to reach, instead of an instance.")
    ] = None,
    remote_port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65535, help="The port on the host.")
    ] = 22,
    local_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Listen here instead of using standard input and output; 0 picks a free port.",
        ),
    ] = None,
    bind_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The IP address to listen on, by default 127.0.0.1. Whoever can reach it can use the"
            " tunnels.",
        ),
    ] = None,
    push_key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="First push this public key to the host, for 60 seconds."),
    ] = None,
    os_user: Annotated[
        str,
        typer.Option(
            metavar="USER", help="The OS user for --push-key; by default ec2-user.", show_default=False
        ),
    ] = "ec2-user",
    known_hosts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="First write the keys that the host has reported to this known_hosts file."
        ),
    ] = None,
    other_endpoints: Annotated[
        str | None,
        typer.Option(
            metavar="ID@DNSNAME@ADDRESS,...",
            help="With an address and its endpoint: the endpoints to try if that one refuses.",
        ),
    ] = None,
    tunnel: _TunnelArguments,
    caller: CallerArguments,
) -> None:
    """Open a TCP tunnel to a host.

    Takes the options of 'aws ec2-instance-connect open-tunnel', and some more.

    \b
    Examples:
      hatchway open-tunnel db-1 --remote-port 5432 --local-port 5432
      ssh -o ProxyCommand='hatchway open-tunnel %h --push-key ~/.ssh/id_ed25519.pub --os-user %r' admin@web-1
    """
    connecting.open_tunnel(
        host,
        instance_id=instance_id,
        private_ip_address=private_ip_address,
        remote_port=remote_port,
        local_port=local_port,
        bind_address=bind_address,
        push_key=push_key,
        os_user=os_user,
        known_hosts=known_hosts,
        other_endpoints=other_endpoints,
        tunnel=tunnel.options(),
        caller=caller.options(),
    )


_ReachedHost = Annotated[
    str,
    typer.Argument(
        metavar="HOST",
        help="The host, by its Name tag, private address or instance id.",
        autocompletion=complete_hosts,
    ),
]


@with_option_groups
def forward(
    host: _ReachedHost,
    ports: Annotated[
        str,
        typer.Argument(
            metavar="PORT[:LOCAL]", help="The port on the host, and the local port if it is different."
        ),
    ],
    *,
    tunnel: _TunnelArguments,
    caller: CallerArguments,
) -> None:
    """Forward a local port to a port of a host, until Ctrl-C.

    The local port is the same, or any free one if that is in use. Each connection to it is a tunnel.

    \b
    Examples:
      hatchway forward db-1 5432
      hatchway forward web-1 80:8080
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.discovery import plan_tunnel
    from hatchway.client.tunnel.event_loop import run
    from hatchway.client.tunnel.forward import local_port_like, read_ports
    from hatchway.client.tunnel.listener import listen

    with connecting.as_ssh_ends():
        remote, local = read_ports(ports)
        options = tunnel.options()._replace(host=host.rpartition("@")[2], remote_port=remote)
        plan = plan_tunnel(Profile(caller.options(), connecting.retry_budget()), options)
        run(listen(plan, local_port_like(remote) if local is None else local, connecting.reporting()))


@with_option_groups
def rdp(
    host: _ReachedHost,
    *,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="The Windows user to log in as.")] = None,
    remote_port: Annotated[
        int, typer.Option(metavar="PORT", min=1, max=65535, help="The port on the host.")
    ] = 3389,
    local_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="The local port; by default a free one."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the .rdp file here, and keep it.")
    ] = None,
    start: Annotated[
        bool,
        typer.Option("--start/--no-start", help="Start this machine's Remote Desktop client."),
    ] = True,
    tunnel: _TunnelArguments,
    caller: CallerArguments,
) -> None:
    """Connect to a Windows desktop with Remote Desktop (RDP).

    Opens a local port with a tunnel for each connection, writes an .rdp file for it, and opens that with
    FreeRDP, Remmina or the Mac's own program. Ends when that program ends, or with Ctrl-C (Remmina may
    continue in another process).

    \b
    Examples:
      hatchway rdp win-1 --user Administrator
      hatchway rdp win-1 --file win-1.rdp --no-start
    """
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.discovery import plan_tunnel
    from hatchway.client.rdp import carry_session, find_program, rdp_file
    from hatchway.client.temporary_directory import temporary_directory
    from hatchway.client.tunnel.event_loop import run
    from hatchway.client.tunnel.forward import local_port_like

    with connecting.as_ssh_ends(), temporary_directory() as directory:
        port = local_port or local_port_like(0)
        text = rdp_file(port, user)
        options = tunnel.options()._replace(host=host.rpartition("@")[2], remote_port=remote_port)
        plan = plan_tunnel(Profile(caller.options(), connecting.retry_budget()), options)
        path = directory / "hatchway.rdp" if file is None else file
        path.write_bytes(text.encode())
        program = find_program() if start else None
        told = (
            f"Opening {path} with {program.words[0]}"
            if program
            else f"Open {path} with a Remote Desktop client"
        )
        by_hand = program is None or not program.ends_with_session
        report = connecting.reporting()
        report(f"{told}; end with Ctrl-C" if by_hand else told)
        run(carry_session(plan, port, path, program, report))
