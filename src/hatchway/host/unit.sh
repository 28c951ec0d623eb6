# An AuthorizedKeysCommand that sshd has by -o is stronger than any file. AWS's package ec2-instance-connect gives its so, in a
# drop-in of the unit: one of ours, behind that, has the same line without it. Functions of install.sh, whose variables they use.

# find_by_option: where a unit's line has such a command, sets `unit`, `unit_drop_in`, `unit_line`, the line without it, `other` and
# `other_account`. `unit_line` is empty where there is none, or nothing that can be taken out for certain.
find_by_option() {
    unit_line=
    unit_drop_in=
    needless=no
    [ -d "$booted" ] && command -v systemctl >/dev/null || return 0
    for unit in ssh sshd; do
        line=$(own_line)
        value=$(option_in AuthorizedKeysCommand)
        case $line in '' | *AuthorizedKeysCommand*) ;; *) needless=yes ;; esac
        # Sessions outlive a restart that ends the one process (systemd.kill(5)), and no other.
        case $value:$(systemctl show --property=KillMode --value "$unit.service" 2>/dev/null) in
        /*:process) ;;
        *) continue ;;
        esac
        without=$(printf '%s\n' "$line" | sed -e 's/ -o *"AuthorizedKeysCommand\(User\)\{0,1\}[ =][^"]*"//g' \
            -e "s/ -o *'AuthorizedKeysCommand\(User\)\{0,1\}[ =][^']*'//g" \
            -e 's/ -o *AuthorizedKeysCommand\(User\)\{0,1\}=[^ "]*//g')
        case $(printf '%s' "$without" | tr A-Z a-z) in *authorizedkeyscommand* | *\\) continue ;; esac
        unit_drop_in=$units/$unit.service.d/zz-hatchway.conf
        if stands_in_way "$unit_drop_in" || stands_in_way "$unit_drop_in.old"; then
            fail "$in_way is there, and this script did not make it: move it away, then run this again"
        fi
        unit_line=$without
        other=$value
        case $other in *' '*) ;; *) other="$other %u" ;; esac
        other_account=$(option_in AuthorizedKeysCommandUser)
        other_account=${other_account:-$(sshd_value authorizedkeyscommanduser)}
        check_other
        return 0
    done
}

# own_line: the line by which a unit starts its program, without our drop-in.
own_line() {
    systemctl cat "$unit.service" 2>/dev/null | while IFS= read -r text; do
        case $text in
        '# '*"/$unit.service.d/zz-hatchway.conf") ours=yes ;;
        '# /'*) ours=no ;;
        ExecStart=?*) if [ "${ours:-no}" = no ]; then printf '%s\n' "${text#ExecStart=}"; fi ;;
        esac
    done | sed '$!d'
}

# option_in KEYWORD: what `line` sets it to by -o. In a unit %% stands for %.
option_in() {
    printf '%s\n' "$line" | sed -n -e "s/.* -o *\"$1[ =]\([^\"]*\)\".*/\1/p" -e "s/.* -o *'$1[ =]\([^']*\)'.*/\1/p" \
        -e "s/.* -o *$1=\([^ \"']*\).*/\1/p" | sed -e 's/%%/%/g' -e 1q
}

# Has sshd run without its option. Sets `restarted` when it had to be started anew.
start_without_option() {
    if [ -z "$unit_line" ]; then
        # Its package may be gone since.
        if [ "$needless" = yes ]; then remove_unit_drop_in; else unit=; fi
        if [ -n "$unit" ]; then restart_unit || fail "$unit.service could not be started anew"; fi
        return 0
    fi
    made_directory=${unit_drop_in%/*}
    if [ ! -d "$made_directory" ]; then
        note_made "directory $made_directory"
        mkdir -m 0755 "$made_directory"
    fi
    note_made "unit $unit_drop_in"
    write root 0644 "$unit_drop_in" <<END_OF_UNIT
$drop_in_mark
[Service]
ExecStart=
ExecStart=$unit_line
END_OF_UNIT
    if cmp -s "$unit_drop_in.new" "$unit_drop_in"; then
        rm -f "$unit_drop_in.new"
        # A run that was killed may not have come to that.
        case $(listeners) in *AuthorizedKeysCommand*) ;; *) return 0 ;; esac
    else
        put_in_place "$unit_drop_in"
    fi
    restarted=yes
    restart_unit || fail "$unit.service could not be started without the AuthorizedKeysCommand of its -o options"
}

# Starts the service anew if it runs: a reload would keep the options that it was started with.
restart_unit() {
    systemctl daemon-reload && systemctl try-restart "$unit.service" &&
        [ "$(systemctl is-active "$unit.service")" != failed ]
}

# remove_unit_drop_in [WHOLLY]: takes it away. Sets `unit` to the service that has to be started anew, or to nothing. Wholly: also
# where a run that was killed took the drop-in away and came no further.
remove_unit_drop_in() {
    removed=
    for unit in ssh sshd; do
        file=$units/$unit.service.d/zz-hatchway.conf
        if has_made "unit $file"; then
            rm -f "$file.new" "$file.old"
            if is_marked "$file" "$drop_in_mark"; then
                rm -f "$file"
                removed=$unit
            elif [ -n "${1-}" ]; then
                removed=$unit
            fi
        fi
        if has_made "directory ${file%/*}"; then remove_directory "${file%/*}"; fi
    done
    unit=$removed
}
