#!/bin/sh
# sshd's AuthorizedKeysCommand: asks Hatchway which keys let USER into this host with FINGERPRINT.
#
#   authorized-keys USER FINGERPRINT        (%u and %f of sshd_config)
#
# Prints authorized_keys lines, or none. Whatever happens it ends within 5 seconds and succeeds, so that
# sshd goes on with its other ways in.

PATH=@PATH@
LC_ALL=C
export PATH LC_ALL
umask 077

api_url=@API_URL@
configuration=@DIRECTORY@/curl.conf
silence=@STATE@/no-answer-since

key_types='ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh[.]com'
proof='restrict,from="[0-9a-f.:,]+",command="true"'

user=${1-}
fingerprint=${2-}
[ -n "$user" ] || exit 0
case $fingerprint in
SHA256:?*) ;;
*) exit 0 ;;
esac

# A client offers several keys, one after the other. When Hatchway does not answer, only the first of them
# waits for it: for 10 seconds after that nobody asks.
now=$(date +%s)
if { read -r since <"$silence"; } 2>/dev/null; then
    case $since in
    '' | [!1-9]* | *[!0-9]* | ???????????*) ;;
    *) if [ "$since" -le "$now" ] && [ "$((now - since))" -lt 10 ]; then exit 0; fi ;;
    esac
fi

# log PRIORITY: what stands on standard input. An argument could be read by whoever lists processes.
log() { logger -p "auth.$1" -t hatchway 2>/dev/null || cat >/dev/null; }

# The token is in the configuration file, never on a command line. Of the answer, 64 KiB count at most, and no
# line with options in front, of another kind of key, or with anything that is not printable. (With one kind of
# options a line does count: they are those by which the host script proves itself, and let in nobody.)
# The word behind a key says who pushed it: that is for the log, not for sshd.
exec 4>&1
said=$(
    {
        {
            curl -q --config "$configuration" --silent --show-error --fail --proto '=https' --globoff \
                --connect-timeout 2 --max-time 4 \
                --get --data-urlencode "user=$user" --data-urlencode "fingerprint=$fingerprint" \
                "$api_url/host/v1/authorized-keys" 2>&3
            echo "exit status $?" >&3
        } | head -c 65536 | tr -d '\000' |
            grep -E "^($proof )?($key_types) [0-9A-Za-z+/]+=*( [ -~]*)?\$" |
            while read -r options type key who; do
                case $options in
                restrict,*) printf '%s %s %s\n' "$options" "$type" "$key" >&4 ;;
                *)
                    printf '%s %s\n' "$options" "$type" >&4
                    if [ -z "$who" ]; then who=$key; else who=; fi
                    ;;
                esac
                case $who in *' '*) ;; arn:*) printf '%s for %s was pushed by %s\n' "$fingerprint" "$user" "$who" ;; esac
            done | log info
    } 3>&1 2>/dev/null </dev/null
)
if [ "$said" != 'exit status 0' ]; then
    # 28 is curl's timeout; every other failure is quick.
    case $said in *'exit status 28') echo "$now" >"$silence" ;; esac
    reason=$(printf '%s\n' "$said" | head -n 1 | tr -cd ' -~')
    printf '%s\n' "asking $api_url for SSH keys failed ($reason)" | log warning
fi 2>/dev/null
exit 0
