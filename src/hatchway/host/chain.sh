# Another AuthorizedKeysCommand beside ours: sshd has only one, so ours runs the other. Functions of install.sh, whose
# variables they use.

# find_other: which command sshd has beside ours. Sets `other`, the command with its arguments as sshd's configuration has
# it, and `other_account`; `other` is empty when there is none.
find_other() {
    other=
    other_account=
    existing=$(sshd_value authorizedkeyscommand)
    case $existing in
    '') fail "sshd -T does not tell its configuration, so nothing can be seen of what it would do" ;;
    none | "$directory/authorized-keys %u %f" | "$former_directory/authorized-keys %u %f") return 0 ;;
    "$every %u %f "*)
        # What an earlier run of this script found.
        other=${existing#"$every %u %f "}
        other=${other#* }
        other_account=${other%% *}
        other=${other#* }
        # Its package may be gone since.
        [ -e "$(other_program)" ] || other=
        ;;
    *)
        other=$existing
        other_account=$(sshd_value authorizedkeyscommanduser)
        # sshd gives a command without arguments the user's name.
        case $other in *' '*) ;; *) other="$other %u" ;; esac
        ;;
    esac
    [ -z "$other" ] || check_other
}

check_other() {
    [ -e "$(other_program)" ] || fail "sshd has an AuthorizedKeysCommand that is not there, '$other': take it out of" \
        "its configuration, then run this again"
    refuse_writable "$(other_program)"
    if [ "$other_account" != %u ] && ! id "$other_account" >/dev/null 2>&1; then
        fail "sshd is to run its AuthorizedKeysCommand as $other_account, whom this host has not: mend that," \
            "then run this again"
    fi
}

other_program() {
    case $other in
    '"'*) program=${other#\"} program=${program%%\"*} ;;
    *) program=${other%% *} ;;
    esac
    printf '%s\n' "$program"
}

# Sets what sshd's configuration is to have: `command_line` and `command_account`. Where there is another command, each
# gets the rights of its own account, which takes root.
choose_command_line() {
    if [ -n "$other" ]; then
        command_line="$every %u %f $account $other_account $other"
        command_account=root
    else
        command_line="$directory/authorized-keys %u %f"
        command_account=$account
    fi
}

# refuse_writable PATH: sshd runs no command that anybody but root could exchange (sshd_config(5), AuthorizedKeysCommand).
refuse_writable() {
    path=$1
    while :; do
        mode=$(stat -L -c '%u %a' "$path" 2>/dev/null) || mode=
        case $mode in
        '0 '*[2367]? | '0 '*[2367] | [!0]* | 0[!\ ]*)
            fail "others than root may write to $path, so sshd would not run $1: mend its owner and mode," \
                "then run this again"
            ;;
        esac
        [ "$path" != / ] || break
        path=$(dirname "$path")
    done
}
