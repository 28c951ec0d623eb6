#!/bin/sh
# sshd's AuthorizedKeysCommand where it had another one before: Hatchway's keys, or else those of the other.
#
#   every-authorized-keys USER FINGERPRINT ACCOUNT OTHER_ACCOUNT OTHER_COMMAND [ARGUMENT...]
#
# sshd runs it as root, since each of the two commands has an account of its own whose rights it gets. Whatever
# one of them does, the other counts; and it always succeeds, or sshd would take neither's keys.

PATH=@PATH@
LC_ALL=C
export PATH LC_ALL
umask 077
# sshd closes its end when it has found what it looks for.
trap '' PIPE

[ "$#" -ge 5 ] || exit 0
user=$1
fingerprint=$2
account=$3
other_account=$4
shift 4

# as ACCOUNT COMMAND...: with that account's rights and nothing else of root's, for so many seconds at most.
as() {
    name=$1
    seconds=$2
    shift 2
    home=$({ getent passwd "$name" || grep "^$name:" /etc/passwd; } | cut -d : -f 6)
    set -- timeout "$seconds" env -i PATH="$PATH" USER="$name" LOGNAME="$name" HOME="${home:-/}" "$@"
    case $name:$(setpriv --version 2>/dev/null) in
    root:*) "$@" ;;
    *:*util-linux*) setpriv --reuid "$name" --regid "$(id -g "$name")" --init-groups -- "$@" ;;
    *)
        if command -v runuser >/dev/null; then
            runuser -u "$name" -- "$@"
        else
            # A shell's own -c, with words that it takes as they are.
            su -s /bin/sh -c 'exec "$0" "$@"' "$name" "$@"
        fi
        ;;
    esac
} 2>/dev/null </dev/null

cd / || exit 0
# Hatchway is asked about this one fingerprint: where it has the key, there is nothing more to ask.
keys=$(as "$account" 8 @DIRECTORY@/authorized-keys "$user" "$fingerprint") || keys=
if [ -z "$keys" ]; then
    # As with sshd, of a command that fails nothing counts. It says so where sshd would. What it prints is kept by a
    # process of root's: 4 MiB at most, and of more nothing.
    said=$({ as "$other_account" 20 "$@"; echo "exit status $?"; } 2>/dev/null | head -c 4194304)
    case $said in
    *'exit status 0') keys=$(printf '%s' "${said%'exit status 0'}") ;;
    *)
        status=$(printf '%s' "$said" | tail -n 1 | sed -n 's/.*exit status \([0-9]*\)$/exit status \1/p')
        printf '%s\n' "$1 failed (${status:-it prints without end})" | logger -p auth.warning -t hatchway 2>/dev/null
        ;;
    esac
fi
[ -z "$keys" ] || printf '%s\n' "$keys" 2>/dev/null
exit 0
