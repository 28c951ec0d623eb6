# What sshd on this host makes of its configuration. Functions of install.sh, whose variables they use.

# Sets `problem`.
sshd_accepts() {
    problem=$("$sshd" -t -f "$sshd_config" 2>&1) && return 0
    problem=$(printf '%s\n' "$problem" | tr -d '\r')
    # Debian makes this directory only when the service starts.
    case $problem in
    'Missing privilege separation directory: '*)
        run_directory=${problem##*: }
        mkdir -m 0755 "$run_directory" || return 1
        problem=$("$sshd" -t -f "$sshd_config" 2>&1)
        ;;
    *) return 1 ;;
    esac
}

# sshd_value KEYWORD: what it has for everybody, whatever Match blocks say of some.
sshd_value() {
    "$sshd" -T -f "$sshd_config" -C "user=$account,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22" |
        sed -n "s/^$1 //p"
}

# listeners: a line for each sshd of this host that takes connections: its process id and what it was started with.
listeners() {
    own=$(readlink "$proc/self/ns/pid") || own=
    for entry in "$proc"/[0-9]*; do
        { read -r name <"$entry/comm"; } 2>/dev/null || continue
        [ "$name" = sshd ] || continue
        # A container's sshd has another configuration.
        [ "$(readlink "$entry/ns/pid")" = "$own" ] || continue
        title=$(tr '\000\n' '  ' <"$entry/cmdline") || continue
        # With OpenSSH 8.2 and newer what it was started with stands in a title, which may be cut short.
        case $title in
        'sshd: /'*' [listener]'*)
            title=${title%% \[listener\]*}
            printf '%s %s\n' "${entry##*/}" "${title#sshd: }"
            ;;
        'sshd: /'*) printf '%s ?\n' "${entry##*/}" ;;
        /*) printf '%s %s\n' "${entry##*/}" "$title" ;;
        esac
    done 2>/dev/null
}

# Sees what sshd does with the new configuration, as it runs and for whom, and fails when no key could let anybody in.
# Sets `seen`, lines to report.
look_at_sshd() {
    seen=
    works=no
    reasons=
    address=$(api_address)
    running=$(listeners)
    if [ -z "$running" ]; then
        look_at_one "sshd" "$sshd -f $sshd_config"
        note "not seen: a running sshd. What it will be started with may be stronger than its configuration"
    else
        while read -r pid words; do
            look_at_one "sshd (process $pid)" "$words"
        done <<END_OF_LISTENERS
$running
END_OF_LISTENERS
    fi
    if [ "$works" = no ]; then
        fail "no key from Hatchway could let anybody in: mend this, then run this again: $reasons"
    fi
    look_at_match_blocks
}

note() { seen="${seen}hatchway: $*
"; }

# look_at_one WHO WORDS: WORDS are the program and its options, with a space between two. sshd takes nothing but
# options: a word that does not begin with - belongs to the one before.
look_at_one() {
    who=$1
    words=$2
    set -f
    # shellcheck disable=SC2086
    set -- $words
    set +f
    program=$1
    shift
    [ -x "$program" ] || program=$sshd
    option=
    configured=no
    for word; do
        shift
        case $word in
        -*)
            keep_option && set -- "$@" "$option"
            option=$word
            ;;
        *) case $option in -?) option=$option$word ;; *) option="$option $word" ;; esac ;;
        esac
    done
    keep_option && set -- "$@" "$option"
    if [ "$configured" = no ]; then set -- "$@" -f "$sshd_config"; fi
    if [ "$words" = '?' ] || ! "$program" -T "$@" -C "$(connection "$account")" >/dev/null 2>&1; then
        note "not seen: what $who was started with, so only its configuration file was looked at"
        program=$sshd
        set -- -f "$sshd_config"
    fi
    asks=
    for user in '' $(login_users); do
        name=${user:-"users yet to be made"}
        configuration=$("$program" -T "$@" -C "$(connection "${user:-$account}")" 2>/dev/null) || configuration=
        judge "${user:-$account}"
        if [ -z "$reason" ]; then
            asks="$asks${asks:+, }$name"
        else
            case $reasons in
            *"$who: $reason"*) ;;
            *) reasons="$reasons${reasons:+; }$who: $reason" ;;
            esac
            note "seen: $who lets in no key from Hatchway for $name: $reason"
        fi
    done
    if [ -n "$asks" ]; then
        works=yes
        note "seen: by its configuration $who asks Hatchway for keys of: $asks"
    fi
}

# connection USER: as sshd's -C has it. The gateway's address is not known here; that of the API is as good as any.
connection() { echo "user=$1,host=localhost,addr=$address,laddr=127.0.0.1,lport=22"; }

# Whether `option` is to be repeated. -E would write to a log.
keep_option() {
    case $option in
    '' | -E*) return 1 ;;
    -f*) configured=yes ;;
    esac
}

# judge USER: sets `reason`, why no key from Hatchway lets USER in as `configuration` is; empty when nothing in it does.
judge() {
    reason=
    runs=none
    runs_as=none
    allowed_users=
    denied_users=
    allowed_groups=
    denied_groups=
    while read -r keyword value; do
        case $keyword in
        authorizedkeyscommand) runs=$value ;;
        authorizedkeyscommanduser) runs_as=$value ;;
        pubkeyauthentication) [ "$value" = yes ] || reason="it has PubkeyAuthentication $value" ;;
        authenticationmethods)
            case " $value" in
            ' any' | *publickey*) ;;
            *) reason="it has AuthenticationMethods $value" ;;
            esac
            ;;
        permitrootlogin)
            case $1:$value in
            root:no | root:forced-commands-only) reason="it has PermitRootLogin $value" ;;
            esac
            ;;
        pubkeyacceptedalgorithms | pubkeyacceptedkeytypes)
            case ,$value, in
            *,ssh-ed25519,*) ;;
            *) reason="it takes no ed25519 keys ($keyword), which are what the AWS CLI and hatchway ssh make" ;;
            esac
            ;;
        allowusers) allowed_users="$allowed_users $value" ;;
        denyusers) denied_users="$denied_users $value" ;;
        allowgroups) allowed_groups="$allowed_groups $value" ;;
        denygroups) denied_groups="$denied_groups $value" ;;
        esac
    done <<END_OF_CONFIGURATION
$configuration
END_OF_CONFIGURATION
    groups=$(id -Gn "$1" 2>/dev/null) || groups=
    if [ "$runs" = none ]; then
        reason="its configuration does not include $drop_in (put this line at its top: Include $sshd_config.d/*.conf)"
    elif [ "$runs" != "$command_line" ]; then
        reason="it has another AuthorizedKeysCommand, $runs"
    elif [ "$runs_as" != "$account" ]; then
        reason="another line sets AuthorizedKeysCommandUser $runs_as"
    elif [ -n "$denied_users" ] && matches "$denied_users" "$1"; then
        reason="it has DenyUsers$denied_users"
    elif [ -n "$allowed_users" ] && ! matches "$allowed_users" "$1"; then
        reason="it has AllowUsers$allowed_users"
    elif [ -n "$denied_groups" ] && matches "$denied_groups" "$groups"; then
        reason="it has DenyGroups$denied_groups"
    elif [ -n "$allowed_groups" ] && ! matches "$allowed_groups" "$groups"; then
        reason="it has AllowGroups$allowed_groups"
    fi
}

# matches PATTERNS NAMES: whether a pattern matches one of the names, from some address or other.
matches() {
    set -f
    for pattern in $1; do
        for name in $2; do
            # shellcheck disable=SC2254
            case $name in
            ${pattern%@*})
                set +f
                return 0
                ;;
            esac
        done
    done
    set +f
    return 1
}

# Those who have a shell, twenty at most.
login_users() {
    { getent passwd 2>/dev/null || cat /etc/passwd; } | while IFS=: read -r name _ uid _ _ _ shell; do
        case $shell in
        */nologin | */false | */sync | '') continue ;;
        esac
        case $name in
        '' | *[!A-Za-z0-9._-]*) continue ;;
        esac
        if [ "$uid" = 0 ] || [ "$uid" -ge 1000 ]; then echo "$name"; fi
    done | head -n 20
}

api_address() {
    host=${api_url#https://}
    host=${host%%/*}
    case $host in
    \[*) host=${host#\[} host=${host%%\]*} ;;
    *) host=${host%:*} ;;
    esac
    case $host in
    *[!0-9.]*) found=$(getent hosts "$host" 2>/dev/null | sed -n '1s/ .*//p') ;;
    *) found=$host ;;
    esac
    echo "${found:-127.0.0.1}"
}

# Match blocks may say otherwise for connections that have not come yet.
look_at_match_blocks() {
    for file in "$sshd_config" "$sshd_config.d"/*.conf; do
        [ -f "$file" ] || continue
        block=
        while read -r keyword value; do
            case $keyword in
            [Mm][Aa][Tt][Cc][Hh]) block=$value ;;
            '' | '#'*) continue ;;
            esac
            case $block in '' | [Aa]ll) continue ;; esac
            case $(printf '%s' "$keyword" | tr A-Z a-z) in
            authorizedkeyscommand* | pubkeya* | authenticationmethods | allow[ug]* | deny[ug]* | permitrootlogin)
                note "not seen: connections for which 'Match $block' in $file sets $keyword $value"
                ;;
            esac
        done <"$file"
    done
}

# Sets `reloaded`.
reload() {
    reloaded=yes
    for name in ssh sshd; do
        # In a chroot it ignores what it is told, and succeeds.
        if [ "$(systemctl is-active "$name.service" 2>/dev/null)" = active ]; then
            systemctl reload "$name.service" || return 1
            return 0
        fi
    done
    for name in ssh sshd; do
        if command -v service >/dev/null && service "$name" reload >/dev/null 2>&1; then return 0; fi
    done
    for pid in $(listeners | sed 's/ .*//'); do kill -HUP "$pid" || return 1; done
}
