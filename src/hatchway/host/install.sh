#!/bin/sh
# Makes sshd on this host ask Hatchway for SSH keys.
#
#   sh SCRIPT                 sets it up, or brings it up to date; may be run any number of times
#   sh SCRIPT --uninstall     takes all of it away again
#
# A script with an enrollment token has the host register itself first; with --name NAME under another name than
# the host's own, with --address ADDRESS at another address than that which it comes from.
#
# Run it as root. It needs sshd and curl. It holds a token: keep it as you keep a private key.
# It touches its own files alone. When it fails or is interrupted it undoes what it did; when it is killed, the
# next run of either kind finds all that it left.

set -eu
PATH=@PATH@
LC_ALL=C
export PATH LC_ALL
umask 077

instance_id=@INSTANCE_ID@
api_url=@API_URL@
token=@TOKEN@
enrollment_token=@ENROLLMENT_TOKEN@
directory=@DIRECTORY@
state=@STATE@
former_directory=@FORMER_DIRECTORY@
former_state=@FORMER_STATE@
sshd_config=@SSHD_CONFIG@
proc=@PROC@
booted=@BOOTED@
units=@UNITS@
watch=$units/hatchway-host-keys
periodic=@PERIODIC@
# Of two files in there sshd heeds the first.
drop_in=$sshd_config.d/00-hatchway.conf
former_drop_in=$sshd_config.d/60-hatchway.conf
account=hatchway-keys
every=$directory/every-authorized-keys
# What is written beside its place first, and what else there is of ours.
places='ca.pem curl.conf authorized-keys every-authorized-keys report-host-keys host-keys'
# What the script made besides its files, a line each, noted before it is made.
made=$directory/made
drop_in_mark="# Made by Hatchway's host script; its --uninstall removes it."
command_mark="# sshd's AuthorizedKeysCommand: asks Hatchway"

say() { printf 'hatchway: %s\n' "$*"; }
fail() {
    complaint=$*
    exit 1
}

main() {
    given_name=
    given_address=
    if [ -n "$enrollment_token" ]; then
        while [ "$#" -ge 2 ]; do
            case $1 in
            --name) given_name=$2 ;;
            --address) given_address=$2 ;;
            *) break ;;
            esac
            shift 2
        done
    fi
    case $* in
    '' | --uninstall) ;;
    *)
        printf 'usage: sh SCRIPT %s[--uninstall]\n' "${enrollment_token:+[--name NAME] [--address ADDRESS] }" >&2
        exit 2
        ;;
    esac
    complaint='a step failed, as said above'
    outcome='nothing was changed'
    undo=
    moved=
    reloaded=no
    restarted=no
    unit_drop_in=
    run_directory=
    workshop=
    other_configs=
    trap 'leave $?' EXIT
    trap 'stop 129' HUP
    trap 'stop 130' INT
    trap 'stop 141' PIPE
    trap 'stop 143' TERM
    [ "$(id -u)" = 0 ] || fail "run this as root"
    sshd=$(command -v sshd) || sshd=
    find_former
    if [ -z "$*" ]; then install; else uninstall; fi
}

stop() {
    complaint=interrupted
    exit "$1"
}

# Every way out leads here.
leave() {
    trap '' HUP INT PIPE TERM
    trap - EXIT
    set +e
    if [ -n "$undo" ]; then
        "$undo" || outcome="not everything could be undone: run this again with --uninstall"
    fi
    if [ -n "$workshop" ]; then remove_workshop; fi
    if [ -n "$run_directory" ]; then rmdir "$run_directory"; fi
    if [ "$1" != 0 ]; then printf 'hatchway: %s%s\n' "$complaint" "${outcome:+ ($outcome)}" >&2; fi
    exit "$1"
}

install() {
    [ -n "$sshd" ] || fail "there is no sshd on this host: install OpenSSH's server, then run this again"
    command -v curl >/dev/null || fail "there is no curl on this host: install it, then run this again"
    refuse_others
    sshd_accepts || fail "sshd does not accept its configuration as it is: $problem"
    find_other
    find_by_option
    if [ -e "$made" ]; then fresh=no; else fresh=yes; fi

    undo=undo_install
    make_directories
    ensure_account
    choose_command_line
    identify
    write_files
    ask_hatchway
    for name in $places; do
        # Which keys sshd has is yet to be seen.
        case $name in host-keys) ;; *) put_in_place "$directory/$name" ;; esac
    done
    "$directory/authorized-keys" || fail "$directory/authorized-keys cannot be run: is it on a file system" \
        "that is mounted noexec?"
    write_drop_in
    put_in_place "$drop_in"
    sshd_accepts || fail "sshd does not accept the new configuration: $problem"
    start_without_option
    look_at_sshd
    write root 0644 "$directory/host-keys" <<END_OF_LIST
$host_keys
END_OF_LIST
    put_in_place "$directory/host-keys"
    reload || fail "sshd could not be made to read its configuration again"
    # From here on all is well: what may still fail is tidying up.
    undo=
    outcome=
    complaint="sshd on this host is set up, but not everything could be tidied up: run this again"
    for file in $moved; do rm -f "$file.old"; done
    # With this the former token ends; where there is no answer yet, with the first question of sshd.
    if [ -n "$answered" ]; then ask '' >/dev/null || true; fi
    if is_marked "$former_drop_in" "$drop_in_mark"; then rm -f "$former_drop_in"; fi
    if [ "$former" = yes ]; then adopt_former; fi
    if has_made "directory $former_directory"; then remove_directory "$former_directory"; fi
    report_keys
    watch_keys
    prove
    report
}

# Why the places that this script wants are not its own. A Hatchway server may be at home here too.
refuse_others() {
    refuse_links
    for path in "$directory" "$state"; do
        if [ -e "$path" ] && [ ! -e "$made" ] && [ -n "$(ls -A "$path")" ]; then
            fail "$path is there, and this script did not make it: move it away, then run this again"
        fi
    done
    if [ -L "$drop_in" ] || { [ -e "$drop_in" ] && ! is_marked "$drop_in" "$drop_in_mark"; }; then
        fail "$drop_in is there, and this script did not make it: move it away, then run this again"
    fi
    # What stands there of a run that was killed is the former drop-in, and the new one, perhaps not whole.
    if stands_in_way "$drop_in.old" || { [ ! -e "$made" ] && stands_in_way "$drop_in.new"; }; then
        fail "$in_way is there, and this script did not make it: move it away, then run this again"
    fi
    refuse_server
    if id "$account" >/dev/null 2>&1 && ! has_made "account $account" && ! is_our_account; then
        fail "this host has a user $account, whom this script did not make: give that user another name," \
            "then run this again"
    fi
    refuse_writable "$directory/authorized-keys"
}

refuse_links() {
    for path in "$directory" "$state" "$made"; do
        [ ! -L "$path" ] || fail "$path is a symbolic link: remove it, then run this again"
    done
}

# stands_in_way FILE: whether something is there that is not of this script. Sets `in_way`.
stands_in_way() {
    in_way=$1
    { [ -e "$1" ] || [ -L "$1" ]; } && ! { [ ! -L "$1" ] && is_marked "$1" "$drop_in_mark"; }
}

is_marked() { [ -f "$1" ] && grep -q "^$2" "$1"; }

has_made() { [ -e "$made" ] && grep -qxF "$1" "$made"; }

# note_made LINE: before it is made, so that a killed run leaves nothing that the next one does not know.
note_made() { has_made "$1" || printf '%s\n' "$1" >>"$made"; }

make_directories() {
    [ -d "$directory" ] || mkdir "$directory"
    # sshd goes through it to the command.
    chown root "$directory"
    chmod 0755 "$directory"
    note_made "directory $state"
    if [ ! -d "$sshd_config.d" ]; then
        note_made "directory $sshd_config.d"
        mkdir -m 0755 "$sshd_config.d"
    fi
    [ -d "$state" ] || mkdir "$state"
}

# sshd runs the command as a user of its own, who alone can read the token.
ensure_account() {
    if ! id "$account" >/dev/null 2>&1; then
        if command -v useradd >/dev/null; then
            note_made "account $account"
            useradd -r -M -d /nonexistent -s /sbin/nologin "$account"
        elif command -v adduser >/dev/null; then
            note_made "account $account"
            adduser -S -D -H -h /nonexistent -s /sbin/nologin "$account"
        else
            account=nobody
        fi
    fi
    chown "$account" "$state"
    chmod 0700 "$state"
}

is_our_account() {
    [ "$account" != nobody ] || return 1
    entry=$(getent passwd "$account" 2>/dev/null || grep "^$account:" /etc/passwd) || return 1
    case $entry in
    "$account":*:0:*) return 1 ;;
    "$account":*:/nonexistent:*/nologin) ;;
    *) return 1 ;;
    esac
}

write_certificate() {
    write root 0644 "$directory/ca.pem" <<'END_OF_CERTIFICATE'
@CA_CERTIFICATE_PEM@
END_OF_CERTIFICATE
}

write_curl_conf() {
    write "$account" 0400 "$directory/curl.conf" <<END_OF_CONFIGURATION
header = "Authorization: Bearer $token"
cacert = "$directory/ca.pem"
END_OF_CONFIGURATION
}

write_files() {
    write_certificate
    write_curl_conf
    write root 0755 "$directory/authorized-keys" <<'END_OF_COMMAND'
@COMMAND@
END_OF_COMMAND
    write root 0755 "$directory/every-authorized-keys" <<'END_OF_COMMAND'
@EVERY_COMMAND@
END_OF_COMMAND
    write root 0755 "$directory/report-host-keys" <<'END_OF_COMMAND'
@REPORT@
END_OF_COMMAND
    if command -v selinuxenabled >/dev/null && selinuxenabled; then
        chcon -t bin_t "$directory/authorized-keys.new" "$directory/every-authorized-keys.new" ||
            say "warning: SELinux may keep sshd from running the command"
    fi
}

write_drop_in() {
    write root 0644 "$drop_in" <<END_OF_DROP_IN
$drop_in_mark
AuthorizedKeysCommand $command_line
AuthorizedKeysCommandUser $command_account
END_OF_DROP_IN
}

# write OWNER MODE FILE: what stands on standard input, beside FILE for now.
write() {
    rm -f "$3.new"
    cat >"$3.new"
    chown "$1" "$3.new"
    chmod "$2" "$3.new"
}

# put_in_place FILE: what was written takes its place at once, and the former content is kept until all is well.
put_in_place() {
    if [ -e "$1" ] && [ ! -e "$1.old" ]; then
        ln "$1" "$1.old" 2>/dev/null || cp -p "$1" "$1.old"
    fi
    moved="$moved $1"
    mv -f "$1.new" "$1"
}

undo_install() {
    for file in $moved; do
        if [ "$file.old" -ef "$file" ]; then
            rm -f "$file.old"
        elif [ -e "$file.old" ]; then
            mv -f "$file.old" "$file"
        else
            rm -f "$file"
        fi
    done
    rm -f "$drop_in.new"
    if [ -n "$unit_drop_in" ]; then rm -f "$unit_drop_in.new"; fi
    for name in $places; do rm -f "$directory/$name.new"; done
    if [ "$restarted" = yes ]; then
        restart_unit
    elif [ "$reloaded" = yes ]; then
        reload
    fi
    if [ "$fresh" = yes ]; then remove_all; fi
}

# remove_all: what this script's runs have made, each thing by its name. Directories only when nothing is left in them.
remove_all() {
    if has_made "directory $sshd_config.d"; then remove_directory "$sshd_config.d"; fi
    remove_unit_drop_in
    if has_made "directory $state"; then
        rm -f "$state/no-answer-since"
        remove_directory "$state"
    fi
    if has_made "account $account"; then remove_account || return 1; fi
    if has_made "directory $former_directory"; then remove_directory "$former_directory"; fi
    for name in $places; do rm -f "$directory/$name" "$directory/$name.old" "$directory/$name.new"; done
    remove_workshop
    rm -f "$made"
    remove_directory "$directory"
    [ ! -e "$made" ]
}

remove_directory() {
    if [ -d "$1" ] && [ ! -L "$1" ] && [ -z "$(ls -A "$1")" ]; then rmdir "$1"; fi
}

# (A bare `return` in what runs at the exit would have the status with which the script ends.)
remove_account() {
    id "$account" >/dev/null 2>&1 || return 0
    if command -v userdel >/dev/null; then remove=userdel; else remove=deluser; fi
    # A question that is just being asked runs as that user, for five seconds at most.
    for pause in 1 2 3; do
        if "$remove" "$account" 2>/dev/null; then return 0; fi
        sleep "$pause"
    done
    "$remove" "$account"
}

uninstall() {
    refuse_server
    if { [ ! -d "$directory" ] || [ -L "$directory" ]; } && [ "$former" = no ] &&
        ! is_marked "$drop_in" "$drop_in_mark" && ! is_marked "$former_drop_in" "$drop_in_mark"; then
        say "there is nothing of this script on this host"
        return 0
    fi
    refuse_links
    if [ -d "$directory" ] && [ ! -e "$made" ] && [ -n "$(ls -A "$directory")" ]; then
        fail "$directory was not made by this script, so it is left alone"
    fi
    complaint='not everything could be removed: run this again'
    outcome=
    remove_watch
    for file in "$drop_in" "$former_drop_in"; do
        if is_marked "$file" "$drop_in_mark"; then rm -f "$file"; fi
        if ! stands_in_way "$file.old"; then rm -f "$file.old"; fi
    done
    if [ -e "$made" ] || ! stands_in_way "$drop_in.new"; then rm -f "$drop_in.new"; fi
    remove_unit_drop_in wholly
    if [ -z "$sshd" ]; then
        say "there is no sshd to tell of it"
    elif [ -n "$unit" ] && sshd_accepts; then
        restart_unit || say "warning: $unit.service could not be started anew: do 'systemctl restart $unit.service'"
    elif sshd_accepts; then
        reload || say "warning: sshd could not be told: have it read its configuration again"
    else
        say "warning: sshd does not accept its configuration, so it was not told of this: $problem"
    fi
    if [ "$former" = yes ]; then
        if is_our_account; then remove_account; fi
        remove_former
    fi
    remove_all
    say "removed"
    if [ -n "$enrollment_token" ]; then say "in Hatchway the host is there still: 'hatchway instance deregister' takes it out"; fi
}

# Earlier versions of this script put their files where a server has its own.
find_former() {
    former=no
    if is_marked "$former_directory/authorized-keys" "$command_mark" ||
        is_marked "$former_directory/curl.conf" 'header = "Authorization: Bearer hwh_'; then
        former=yes
    fi
}

refuse_server() {
    if [ "$former" = no ]; then return 0; fi
    if [ -n "$(server_file "$former_directory")" ]; then
        fail "$former_directory holds files of a Hatchway server ($(server_file "$former_directory")) among those" \
            "of an earlier version of this script: move authorized-keys and curl.conf out of it by hand," \
            "then run this again"
    fi
    if [ -n "$(server_file "$former_state")" ] && [ "$(stat -c %U "$former_state")" = "$account" ]; then
        fail "an earlier version of this script took $former_state away from the Hatchway server whose files are in" \
            "it: give it back with 'chown --reference=$former_state/$(server_file "$former_state") $former_state'," \
            "then run this again"
    fi
}

# server_file DIRECTORY: the name of a file by which a server's data directory is known, if it has one.
server_file() {
    for name in hatchway.db master.key ca.key server.pem gateway.key audit.jsonl; do
        if [ -e "$1/$name" ]; then
            echo "$name"
            return 0
        fi
    done
}

# The new files do the work by now. The account was the former installation's, and is now this one's.
adopt_former() {
    if is_our_account; then note_made "account $account"; fi
    note_made "directory $former_directory"
    remove_former
}

remove_former() {
    rm -f "$former_state/no-answer-since"
    remove_directory "$former_state"
    for name in ca.pem curl.conf authorized-keys; do
        rm -f "$former_directory/$name.new" "$former_directory/$name"
    done
    remove_directory "$former_directory"
}

# ask ENDING PARAMETER…: asks as sshd's command will, with the files of that ending, about nobody's key. Prints what
# went wrong in curl's words, then the HTTP status.
ask() {
    ending=$1
    shift
    env -i PATH="$PATH" LC_ALL=C \
        curl -q --config "$directory/curl.conf$ending" --cacert "$directory/ca.pem$ending" \
        --silent --show-error --proto '=https' --globoff --output /dev/null \
        --connect-timeout 2 --max-time 4 --write-out 'HTTP status %{http_code}\n' \
        --get --data-urlencode user=root \
        --data-urlencode fingerprint=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA "$@" \
        "$api_url/host/v1/authorized-keys" 2>&1
}

# Whether Hatchway answers this host. A trial: the former token must stay good for as long as this run may be undone.
ask_hatchway() {
    status=0
    said=$(ask .new --data trial=yes) || status=$?
    answer=$(printf '%s\n' "$said" | sed -n 's/^HTTP status \([0-9]*\)$/\1/p')
    # What curl says is wrong, without its advice on the lines below, nor what a server could put in.
    trouble=$(printf '%s\n' "$said" | grep '^curl: ' | head -n 1 | tr -cd ' -~')
    [ -n "$trouble" ] || trouble="curl exit status $status, HTTP status $answer"
    case $status:$answer in
    0:200) answered="$api_url answers this host" ;;
    0:401 | 0:403) fail "$api_url refuses this host's token: make a new script with 'hatchway host script" \
        "$instance_id' and run that" ;;
    0:429 | 0:5??) answered= ;;
    0:*) fail "what answers at $api_url is no Hatchway (HTTP status $answer): make a new script with" \
        "'hatchway host script $instance_id --api-url URL' and run that" ;;
    # curl(1), "EXIT CODES": the certificate is not trusted.
    60:* | 51:*) fail "the certificate of $api_url is none of the CA in this script, or names another host" \
        "($trouble): make a new script with 'hatchway host script $instance_id --api-url URL' and run that" ;;
    *) answered= ;;
    esac
}

report() {
    say "sshd on this host is set up to ask $api_url for the keys of $instance_id"
    if [ -n "$answered" ]; then
        say "seen: $answered"
    else
        say "warning: $api_url does not answer this host yet ($trouble); until it does, only sshd's other ways" \
            "in work"
    fi
    if [ "$account" = nobody ]; then
        say "warning: this host has no useradd and no adduser, so whatever runs as nobody can read its token"
    fi
    printf '%s' "$seen"
    if command -v getenforce >/dev/null && [ "$(getenforce)" = Enforcing ]; then
        say "not seen: whether SELinux lets sshd's command connect to $api_url"
    fi
    if [ -n "$other" ]; then say "seen: sshd had an AuthorizedKeysCommand, which still counts: $other (as $other_account)"; fi
    say "$reported"
    say "$watched"
    say "$proof"
}

@ENROLL@

@CHAIN@

@UNIT@

@PROOF@

@WATCH@

@SSHD@

main "$@" </dev/null
exit
