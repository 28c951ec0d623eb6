#!/bin/sh
# Makes sshd on this host ask Hatchway for SSH keys.
#
#   sh SCRIPT                 sets it up, or brings it up to date; may be run any number of times
#   sh SCRIPT --uninstall     takes all of it away again
#
# Run it as root. It needs sshd and curl. It holds this host's token: keep it as you keep a private key.

set -eu
PATH=@PATH@
LC_ALL=C
export PATH LC_ALL
umask 077

instance_id=@INSTANCE_ID@
api_url=@API_URL@
token=@TOKEN@
directory=@DIRECTORY@
state=@STATE@
sshd_config=@SSHD_CONFIG@
drop_in=$sshd_config.d/60-hatchway.conf
pid_file=@PID_FILE@
account=hatchway-keys

say() { printf 'hatchway: %s\n' "$*"; }
fail() {
    printf 'hatchway: %s\n' "$*" >&2
    exit 1
}

main() {
    [ "$(id -u)" = 0 ] || fail "run this as root"
    sshd=$(command -v sshd) || fail "there is no sshd on this host: install OpenSSH's server, then run this again"
    case $* in
    '') install ;;
    --uninstall) uninstall ;;
    *)
        printf 'usage: sh SCRIPT [--uninstall]\n' >&2
        exit 2
        ;;
    esac
}

install() {
    command -v curl >/dev/null || fail "there is no curl on this host: install it, then run this again"
    sshd_accepts || fail "sshd does not accept its configuration as it is, nothing was changed: $problem"
    command_line="$directory/authorized-keys %u %f"
    existing=$(effective authorizedkeyscommand)
    case $existing in
    none | "$command_line") ;;
    *) fail "sshd already has an AuthorizedKeysCommand, nothing was changed: take '$existing' out of" \
        "its configuration, then run this again" ;;
    esac
    if [ -e "$directory" ]; then fresh=no; else fresh=yes; fi

    ensure_account
    place_files
    place_drop_in
    if [ "$(effective pubkeyauthentication)" = no ]; then
        say "warning: sshd has PubkeyAuthentication no, so it will ask for no keys"
    fi
    reload
    ask_once
    say "sshd on this host now asks $api_url for the keys of $instance_id"
}

uninstall() {
    rm -f "$drop_in"
    if sshd_accepts; then reload; else say "warning: sshd does not accept its configuration: $problem"; fi
    remove_files
    say "removed"
}

# Sets `problem`.
sshd_accepts() {
    problem=$("$sshd" -t -f "$sshd_config" 2>&1) && return
    problem=$(printf '%s\n' "$problem" | tr -d '\r')
    # Debian makes this directory only when the service starts.
    case $problem in
    'Missing privilege separation directory: '*)
        mkdir -m 0755 "${problem##*: }"
        problem=$("$sshd" -t -f "$sshd_config" 2>&1)
        ;;
    *) return 1 ;;
    esac
}

# The value that sshd uses for one keyword. The connection matters only to Match blocks.
effective() {
    "$sshd" -T -f "$sshd_config" -C user=root,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22 |
        sed -n "s/^$1 //p"
}

# sshd runs the command as a user of its own, who alone can read the token.
ensure_account() {
    if id "$account" >/dev/null 2>&1; then return; fi
    if command -v useradd >/dev/null; then
        useradd -r -M -d /nonexistent -s /sbin/nologin "$account"
    elif command -v adduser >/dev/null; then
        adduser -S -D -H -h /nonexistent -s /sbin/nologin "$account"
    else
        account=nobody
    fi
}

place_files() {
    # sshd refuses a command when anybody but root may write to it or to a directory above it.
    mkdir -p "$directory" "$state"
    chown root "$directory"
    chmod 0755 "$directory"
    chown "$account" "$state"
    chmod 0700 "$state"
    place root 0644 "$directory/ca.pem" <<'END_OF_CERTIFICATE'
@CA_CERTIFICATE_PEM@
END_OF_CERTIFICATE
    place "$account" 0400 "$directory/curl.conf" <<END_OF_CONFIGURATION
header = "Authorization: Bearer $token"
cacert = "$directory/ca.pem"
END_OF_CONFIGURATION
    place root 0755 "$directory/authorized-keys" <<'END_OF_COMMAND'
@COMMAND@
END_OF_COMMAND
    if command -v selinuxenabled >/dev/null && selinuxenabled; then
        chcon -t bin_t "$directory/authorized-keys" || say "warning: SELinux may keep sshd from running the command"
    fi
}

# place OWNER MODE FILE: the file gets what stands on standard input, all at once.
place() {
    cat >"$3.new"
    chown "$1" "$3.new"
    chmod "$2" "$3.new"
    mv -f "$3.new" "$3"
}

place_drop_in() {
    mkdir -p -m 0755 "$sshd_config.d"
    if [ -e "$drop_in" ]; then cp -p "$drop_in" "$drop_in.old"; fi
    place root 0644 "$drop_in" <<END_OF_DROP_IN
# Made by Hatchway's host script; its --uninstall removes it.
AuthorizedKeysCommand $command_line
AuthorizedKeysCommandUser $account
END_OF_DROP_IN
    if ! sshd_accepts; then
        undo
        fail "sshd does not accept the new configuration, which was undone: $problem"
    fi
    if [ "$(effective authorizedkeyscommand)" != "$command_line" ] ||
        [ "$(effective authorizedkeyscommanduser)" != "$account" ]; then
        undo
        fail "$sshd_config does not include $drop_in, nothing was changed: put this line at the top of it," \
            "then run this again (sshd older than 8.2 has no Include: put AuthorizedKeysCommand $command_line" \
            "and AuthorizedKeysCommandUser $account there instead): Include $sshd_config.d/*.conf"
    fi
    rm -f "$drop_in.old"
}

undo() {
    rm -f "$drop_in"
    if [ -e "$drop_in.old" ]; then mv -f "$drop_in.old" "$drop_in"; fi
    if [ "$fresh" = yes ]; then remove_files; fi
}

remove_files() {
    rm -rf "$directory" "$state"
    if id "$account" >/dev/null 2>&1 && [ "$account" != nobody ]; then
        if command -v userdel >/dev/null; then userdel "$account"; else deluser "$account"; fi
    fi
}

reload() {
    for name in ssh sshd; do
        if command -v systemctl >/dev/null && systemctl is-active --quiet "$name.service"; then
            systemctl reload "$name.service"
            return
        fi
    done 2>/dev/null
    for name in ssh sshd; do
        if command -v service >/dev/null && service "$name" reload >/dev/null 2>&1; then return; fi
    done
    if [ -s "$pid_file" ] && kill -HUP "$(cat "$pid_file")"; then return; fi
    say "sshd was not told: if it is running, make it read its configuration again"
}

# A question about nobody's key, to see whether Hatchway answers this host.
ask_once() {
    answer=$(
        curl -q --config "$directory/curl.conf" --silent --proto '=https' --globoff --output /dev/null \
            --connect-timeout 2 --max-time 4 --write-out '%{http_code}' \
            --get --data-urlencode user=root \
            --data-urlencode fingerprint=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA \
            "$api_url/host/v1/authorized-keys"
    ) || :
    case $answer in
    200) ;;
    401 | 403) fail "$api_url refuses this host's token: make a new script with 'hatchway host script" \
        "$instance_id' and run that" ;;
    *) say "warning: $api_url does not answer this host yet (status $answer); until it does, only sshd's" \
        "other ways in work" ;;
    esac
}

main "$@" </dev/null
exit
