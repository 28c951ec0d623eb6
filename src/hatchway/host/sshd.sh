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
        is_root_s_sshd "$entry" || continue
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

# is_root_s_sshd ENTRY: anybody may call a process and its title as he likes, and the program that a title names is run
# here, as root. Who started it is the first of the four, which a set-user-ID program does not change (proc(5)).
is_root_s_sshd() {
    read -r started_by _ <<END_OF_IDS || return 1
$(sed -n 's/^Uid:[[:space:]]*//p' "$1/status")
END_OF_IDS
    [ "$started_by" = 0 ] || return 1
    # Of one that has been replaced since it was started, ' (deleted)' stands behind the name.
    case $(readlink "$1/exe") in */sshd | */sshd' '*) ;; *) return 1 ;; esac
}

# Sees what sshd does with the new configuration, as it runs and for whom, and fails when no key could let anybody in.
# Sets `seen`, lines to report, and `host_keys`, the files of its keys.
look_at_sshd() {
    seen=
    host_keys=
    other_configs=
    works=no
    reasons=
    prover=
    who_proves=sshd
    target=127.0.0.1
    port=22
    address=$(api_address)
    running=$(listeners)
    if [ -z "$running" ]; then
        # As where a socket starts it (Ubuntu).
        service=$(service_to_be_started)
        words=$(unit_words)
        look_at_one "sshd" "${words:-$sshd -f $sshd_config}"
        note "not seen: a running sshd. What it will be started with may be stronger than ${words:+its unit and }its" \
            "configuration"
    else
        while read -r pid words; do
            service=$(service_of "$pid")
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

# unit_words: what the unit of systemd starts sshd with, its drop-ins included; without what the environment adds. Where each
# connection has an sshd of its own (Debian 12's ssh.socket), that of any of them.
unit_words() {
    for name in $service ssh sshd; do
        if [ "$(systemctl show --property=Accept --value "$name.socket" 2>/dev/null)" = yes ]; then name=$name@hatchway; fi
        systemctl show --property=ExecStart "$name.service" 2>/dev/null |
            sed -n 's/^ExecStart={ path=[^ ]* ; argv\[\]=\(.*\) ; ignore_errors=.*/\1/p' | sed -e 's/ \$[A-Za-z0-9_{}]*//g' -e 's/%%/%/g'
    done | head -n 1
}

# service_of PID: the service of systemd whose main process it is, if it is one's.
service_of() {
    found=$(sed -n 's#^.*/\([^/]*\)\.service$#\1#p' "$proc/$1/cgroup" 2>/dev/null | sed 1q)
    if [ -n "$found" ] && [ "$(main_process "$found")" = "$1" ]; then echo "$found"; fi
}

main_process() { systemctl show --property=MainPID --value "$1.service" 2>/dev/null; }

# service_to_be_started: the one whose socket is listened on.
service_to_be_started() {
    for name in ssh sshd; do
        if has_socket "$name"; then
            echo "$name"
            return 0
        fi
    done
}

# has_socket SERVICE: whether it has its socket from systemd.
has_socket() { [ "$(systemctl is-active "$1.socket" 2>/dev/null)" = active ]; }

# addresses: lines of sshd_config for what the sshd that is looked at listens on. By its socket's unit, where it has one from
# systemd: then sshd pays no heed to its own.
addresses() {
    listens=
    if [ -n "$service" ] && has_socket "$service"; then
        listens=$(systemctl show --property=Listen "$service.socket" 2>/dev/null |
            sed -n -e '/^Listen=vsock:/d' -e 's/^Listen=\(.*:[0-9]*\) (Stream)$/listenaddress \1/p')
    fi
    printf '%s\n' "${listens:-$general}" | sed -n '/^listenaddress /p'
}

note() { seen="${seen}hatchway: $*
"; }

# look_at_one WHO WORDS: WORDS are as `with_options` has them.
look_at_one() {
    who=$1
    local_port=22
    with_options look_with "$2"
}

# with_options FUNCTION WORDS: FUNCTION with the options among WORDS, which are a program and its options, with a space between
# two. sshd takes nothing but options: a word that does not begin with - belongs to the one before. Sets `program` and `words`.
with_options() {
    given=$1
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
    "$given" "$@"
}

# would_run OPTIONS: whether `program` accepts its configuration with them.
would_run() { "$program" -t "$@" >/dev/null 2>&1; }

# look_with OPTIONS: looks at `program` with them.
look_with() {
    if [ "$words" = '?' ] || ! "$program" -T "$@" -C "$(connection "$account")" >/dev/null 2>&1; then
        note "not seen: what $who was started with, so only its configuration file was looked at"
        program=$sshd
        set -- -f "$sshd_config"
    fi
    # Without a connection none of the Match blocks counts.
    general=$("$program" -T "$@" 2>/dev/null) || general=
    reached_at=$(addresses)
    local_port=$(printf '%s\n' "$reached_at" | sed -n '1s/.*://p')
    note_host_keys
    case $(printf '%s\n' "$general" | sed -n 's/^authorizedkeyscommand //p') in
    "$command_line") included=yes ;;
    *) included=no ;;
    esac
    asks=
    for user in '' $(login_users); do
        name=${user:-"users yet to be made"}
        configuration=$("$program" -T "$@" -C "$(connection "${user:-$account}")" 2>/dev/null) || configuration=
        judge "${user:-$account}"
        if [ -z "$reason" ]; then
            asks="$asks${asks:+, }$name"
            case $user:$prover in
            :*) ;;
            *: | *:root)
                prover=$user
                who_proves=$who
                find_target "$reached_at"
                ;;
            esac
        else
            case $reasons in
            *"$who: $reason"*) ;;
            *) reasons="$reasons${reasons:+; }$who: $reason" ;;
            esac
            note "seen: $who lets in no key from Hatchway for $name: $reason"
        fi
    done
    note_addresses "$who"
    if [ -n "$asks" ]; then
        works=yes
        note "seen: by its configuration $who asks Hatchway for keys of: $asks"
    fi
}

# The files of keys that `general` names, those of -h and -o HostKey among them.
note_host_keys() {
    while read -r keyword file; do
        [ "$keyword" = hostkey ] && { [ -e "$file" ] || [ -e "$file.pub" ]; } || continue
        case "
$host_keys
" in
        *"
$file
"*) ;;
        *) host_keys="$host_keys${host_keys:+
}$file" ;;
        esac
    done <<END_OF_CONFIGURATION
$general
END_OF_CONFIGURATION
}

# connection USER: as sshd's -C has it. The gateway's address is not known here; that of the API is as good as any.
connection() { echo "user=$1,host=localhost,addr=$address,laddr=127.0.0.1,lport=${local_port:-22}"; }

# Whether `option` is to be repeated. -E would write to a log.
keep_option() {
    case $option in
    '' | -E*) return 1 ;;
    -f*)
        configured=yes
        other_configs="$other_configs${option#-f}
"
        ;;
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
    # An sshd that was built without PAM says nothing of it.
    pam=no
    while read -r keyword value; do
        case $keyword in
        usepam) pam=$value ;;
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
    if [ "$runs" = none ] && [ "$included" = yes ]; then
        reason="a Match block of its configuration takes the AuthorizedKeysCommand away"
    elif [ "$runs" = none ]; then
        reason="its configuration does not include $drop_in (put this line at its top: Include $sshd_config.d/*.conf)"
    elif [ "$runs" != "$command_line" ]; then
        reason="it has another AuthorizedKeysCommand, $runs"
        case $words in
        *' -o'*"${runs%% *}"*)
            reason="$reason, from the -o that it is started with, which is stronger than any file (put both into a file in"
            reason="$reason $sshd_config.d instead: a command that is there is run beside Hatchway's)"
            ;;
        esac
    elif [ "$runs_as" != "$command_account" ]; then
        reason="another line sets AuthorizedKeysCommandUser $runs_as"
    elif [ -n "$denied_users" ] && matches "$(from_anywhere "$denied_users")" "$1"; then
        reason="it has DenyUsers$denied_users"
    elif [ -n "$allowed_users" ] && ! matches "$allowed_users" "$1"; then
        reason="it has AllowUsers$allowed_users"
    elif [ -n "$denied_groups" ] && matches "$denied_groups" "$groups"; then
        reason="it has DenyGroups$denied_groups"
    elif [ -n "$allowed_groups" ] && ! matches "$allowed_groups" "$groups"; then
        reason="it has AllowGroups$allowed_groups"
    elif [ "$pam" = no ] && [ "$1" != "$account" ] && is_locked "$1"; then
        reason="the account is locked, by the ! in its password, and sshd without PAM takes no key for such a one (echo"
        reason="$reason '$1:*' | chpasswd -e leaves it without a password and open to keys; or set UsePAM yes)"
    fi
}

# is_locked USER: as sshd sees it on Linux (auth.c, platform.c: LOCKED_PASSWD_PREFIX).
is_locked() {
    { getent shadow "$1" || cat /etc/shadow; } 2>/dev/null | (
        while IFS=: read -r name password _; do
            case $name:$password in
            "$1":!*) exit 0 ;;
            esac
        done
        exit 1
    )
}

# matches PATTERNS NAMES: whether a pattern matches one of the names, from some address or other.
matches() {
    set -f
    for pattern in $1; do
        for candidate in $2; do
            # shellcheck disable=SC2254
            case $candidate in
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

# from_anywhere PATTERNS: those of them that name no address, and so count whatever it is.
from_anywhere() {
    set -f
    for pattern in $1; do
        case $pattern in
        *@*) ;;
        *) printf '%s ' "$pattern" ;;
        esac
    done
    set +f
}

# note_addresses WHO: the lines that let users in, or keep them out, by the address that they come from.
note_addresses() {
    while read -r keyword value; do
        case $keyword:$value in
        allowusers:*@* | denyusers:*@*) note "not seen: from which addresses $1 lets users in: it has $keyword $value" ;;
        esac
    done <<END_OF_CONFIGURATION
$configuration
END_OF_CONFIGURATION
}

# Those who have a shell, twenty at most.
login_users() {
    { getent passwd 2>/dev/null || cat /etc/passwd; } | while IFS=: read -r name _ uid _ _ _ shell; do
        case $shell in
        */nologin | */false | */sync | '') continue ;;
        esac
        case $name in
        '' | -* | *[!A-Za-z0-9._-]*) continue ;;
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
    files=$(
        printf '%s\n' "$sshd_config" "$other_configs" | while read -r file; do configuration_files "$file" 0; done
    )
    known='
'
    while read -r file; do
        case $known in
        *"
$file
"*) continue ;;
        esac
        known="$known$file
"
        block=
        while read -r keyword value; do
            case $keyword in
            match) block=$value ;;
            esac
            case $block in '' | [Aa][Ll][Ll]) continue ;; esac
            case $keyword in
            authorizedkeyscommand* | pubkeya* | authenticationmethods | allow[ug]* | deny[ug]* | permitrootlogin)
                note "not seen: connections for which 'Match $block' in $file sets $keyword $value"
                ;;
            esac
        done <<END_OF_FILE
$(directives "$file")
END_OF_FILE
    done <<END_OF_FILES
$files
END_OF_FILES
}

# directives FILE: its lines as sshd reads them: the keyword, which may be in quotes, in small letters, and its value.
directives() {
    [ -f "$1" ] || return 0
    sed -e 's/^[[:space:]]*//' -e '/^#/d' -e '/^$/d' -e 's/"//g' -e 's/[[:space:]=]\{1,\}/ /' "$1" |
        while read -r word words; do
            printf '%s %s\n' "$(printf '%s' "$word" | tr A-Z a-z)" "$words"
        done
}

# configuration_files FILE DEPTH: FILE and those that it includes, to sshd's own depth.
configuration_files() (
    [ -f "$1" ] && [ "$2" -le 16 ] || exit 0
    printf '%s\n' "$1"
    cd "$(dirname "$sshd_config")" || exit 0
    directives "$1" | sed -n 's/^include //p' | while read -r patterns; do
        for included in $patterns; do
            case $included in
            /*) ;;
            *) included=$PWD/$included ;;
            esac
            configuration_files "$included" "$(($2 + 1))"
        done
    done
)

# Has every sshd of this host read its configuration again, but for those that would end, as they do not accept it. Sets
# `reloaded`.
reload() {
    reloaded=yes
    running=$(listeners)
    pids=
    kept=' '
    while read -r pid words; do
        if [ "${words:-?}" = '?' ] || with_options would_run "$words"; then
            pids="$pids $pid"
        else
            kept="$kept$pid "
            say "warning: sshd (process $pid) does not accept its configuration as it is now, so it was not told to read it: mend" \
                "what '$program -t' says with the options of '$words', then run this again"
        fi
    done <<END_OF_LISTENERS
$running
END_OF_LISTENERS
    told=
    for name in ssh sshd; do
        # In a chroot it ignores what it is told, and succeeds.
        if [ "$(systemctl is-active "$name.service" 2>/dev/null)" = active ]; then
            told=$(main_process "$name") || told=
            case $kept in *" ${told:--} "*) continue ;; esac
            tell_service || return 1
            case $told in '' | 0) return 0 ;; esac
            break
        fi
    done
    # Others beside that one; or all, for a service that is not there, or has another process, may succeed all the same.
    for pid in $pids; do
        [ "$pid" != "$told" ] || continue
        name=$(service_of "$pid")
        if [ -n "$name" ] && has_socket "$name"; then
            tell_service || return 1
        else
            kill -HUP "$pid" || return 1
        fi
    done
    [ -z "$told$running" ] || return 0
    for name in ssh sshd; do
        if command -v service >/dev/null && service "$name" reload >/dev/null 2>&1; then return 0; fi
    done
}

# tell_service: has the service `name` read its configuration again. An sshd that has its socket from systemd (Ubuntu; Debian 13
# with ssh.socket) ends at a reload, for it lets go of that socket and can bind no other. So it is started anew, and nobody is
# turned away: whoever connects meanwhile waits in the socket.
tell_service() {
    if ! has_socket "$name"; then
        systemctl reload "$name.service"
        return
    fi
    # Sessions outlive a restart that ends the one process (systemd.kill(5)), and no other.
    mode=$(systemctl show --property=KillMode --value "$name.service" 2>/dev/null)
    if [ "$mode" != process ]; then
        say "$name.service has its socket from $name.socket, so it has to be started anew, which would end sessions (KillMode=$mode)"
        return 1
    fi
    systemctl try-restart "$name.service"
}
