# What this host proves by its token: that its sshd lets in a key from Hatchway, and by which keys it is known. Functions
# of install.sh, whose variables they use.

# report_keys: tells Hatchway the host's public keys. Sets `reported`, a line to say.
report_keys() {
    if [ -z "$host_keys" ]; then
        reported="not seen: keys of this host, so whoever connects has to trust it on first sight"
    elif said=$("$directory/report-host-keys" 2>&1); then
        reported="seen: Hatchway knows this host by $(printf '%s' "$said" | tr '\n' ' ')"
    else
        reported="warning: this host's keys could not be reported ($said): run this again, or whoever connects has to"
        reported="$reported trust what was reported before, or to trust on first sight"
    fi
}

# prove: a throw-away key is made, which Hatchway lets this host have for some seconds, to run 'true' from this host
# itself and nothing else; and ssh logs in with it. Sets `proof`, a line to say.
prove() {
    if [ -z "$answered" ]; then
        unproven "$api_url does not answer yet"
        return 0
    fi
    if [ -z "$prover" ]; then
        unproven "there is no user yet to try it for"
        return 0
    fi
    for program in ssh ssh-keygen timeout; do
        command -v "$program" >/dev/null || {
            unproven "there is no $program on this host"
            return 0
        }
    done
    workshop=$directory/proof
    remove_workshop
    mkdir -m 0700 "$workshop"
    if ! ssh-keygen -q -t ed25519 -N '' -C '' -f "$workshop/key" >/dev/null 2>&1; then
        unproven "ssh-keygen makes no key"
    elif ! ask_for_proof; then
        unproven "$api_url gives no key for it ($trouble)"
    elif log_in; then
        proof="seen: $who_proves let in a key that was made for this, for $prover at $target port $port"
    else
        unproven "a key that was made for this did not get in as $prover at $target port $port: ${trouble:-no reason was given}"
    fi
    remove_workshop
    workshop=
}

unproven() { proof="not seen: a login, since $1. Try one, with 'hatchway ssh $instance_id'"; }

ask_for_proof() {
    trouble=$(
        env -i PATH="$PATH" LC_ALL=C \
            curl -q --config "$directory/curl.conf" --silent --show-error --proto '=https' --globoff --output /dev/null \
            --connect-timeout 2 --max-time 10 --write-out 'HTTP status %{http_code}\n' \
            --header 'Content-Type: text/plain' --data-binary "@$workshop/key.pub" \
            "$api_url/host/v1/proof?user=$prover" 2>&1 | tr -cd ' -~\n' | sed '$!d'
    )
    [ "$trouble" = 'HTTP status 200' ]
}

# The sshd that answers has to be this host's: its keys are known. One that reads its configuration anew may need a moment.
log_in() {
    while read -r file; do
        { ssh-keygen -y -P '' -f "$file" || cat "$file.pub"; } 2>/dev/null | sed -n 's/^/host /p'
    done <"$directory/host-keys" >"$workshop/known_hosts"
    if [ -s "$workshop/known_hosts" ]; then checking=yes; else checking=no; fi
    for pause in 1 1 0; do
        if trouble=$(
            timeout 20 ssh -F /dev/null -i "$workshop/key" -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
                -o PreferredAuthentications=publickey -o ConnectTimeout=5 -o HostKeyAlias=host \
                -o StrictHostKeyChecking="$checking" -o UserKnownHostsFile="$workshop/known_hosts" \
                -o GlobalKnownHostsFile=/dev/null -o ControlPath=none -p "$port" "$prover@$target" true 2>&1
        ); then return 0; fi
        sleep "$pause"
    done
    trouble=$(printf '%s\n' "$trouble" | tr -cd ' -~\n' | sed '/^ *$/d' | sed '$!d')
    return 1
}

remove_workshop() {
    for name in key key.pub known_hosts; do rm -f "$directory/proof/$name"; done
    remove_directory "$directory/proof"
}

# find_target LINES: sets `target` and `port`, where the sshd that has these lines listens for this host.
find_target() {
    where=$(printf '%s\n' "$1" | sed -n 's/^listenaddress \(0\.0\.0\.0:[0-9]*\)$/\1/p' | sed 1q)
    [ -n "$where" ] || where=$(printf '%s\n' "$1" | sed -n 's/^listenaddress \([^ ]*:[0-9]*\)$/\1/p' | sed 1q)
    port=${where##*:}
    port=${port:-22}
    target=${where%:*}
    case $target in
    '' | 0.0.0.0) target=127.0.0.1 ;;
    '[::]') target=::1 ;;
    \[*) target=${target#\[} target=${target%\]} ;;
    esac
}
