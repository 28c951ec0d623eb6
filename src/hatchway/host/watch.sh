# When this host's keys change, and when it boots, they are reported again. Functions of install.sh, whose variables they
# use.

# watch_keys: sets `watched`, a line to say.
watch_keys() {
    watched="not seen: keys that this host will have: run this again when they change"
    [ -n "$host_keys" ] || return 0
    if [ -d "$booted" ] && command -v systemctl >/dev/null; then
        for file in "$watch.path" "$watch.service"; do is_free "$file" || return 0; done
        note_made "watch $watch"
        write_units
        if systemctl daemon-reload && systemctl enable --quiet "${watch##*/}.path" "${watch##*/}.service" &&
            systemctl restart "${watch##*/}.path"; then
            watched="changes of its keys are reported from now on, by ${watch##*/}.path"
        fi
    elif [ -d "$periodic" ]; then
        is_free "$periodic/hatchway-host-keys" || return 0
        note_made "watch $periodic/hatchway-host-keys"
        write root 0755 "$periodic/hatchway-host-keys" <<END_OF_JOB
#!/bin/sh
$drop_in_mark
exec $directory/report-host-keys >/dev/null 2>&1
END_OF_JOB
        mv -f "$periodic/hatchway-host-keys.new" "$periodic/hatchway-host-keys"
        watched="changes of its keys are reported from now on, by $periodic/hatchway-host-keys"
    fi
}

# is_free FILE: whether it may be written, first beside its place. Of a run that was killed what stands there may not be whole.
is_free() {
    ! stands_in_way "$1" && { has_made "watch $1" || has_made "watch ${1%.*}" || ! stands_in_way "$1.new"; }
}

write_units() {
    write root 0644 "$watch.service" <<END_OF_UNIT
$drop_in_mark
[Unit]
Description=Report this host's SSH keys to Hatchway
Wants=network-online.target
After=network-online.target

[Service]
Type=simple
# The host's other keys change in these seconds.
ExecStart=/bin/sh -c 'sleep 5; exec $directory/report-host-keys'

[Install]
WantedBy=multi-user.target
END_OF_UNIT
    {
        printf '%s\n[Unit]\nDescription=Changes of this host'\''s SSH keys\n\n[Path]\n' "$drop_in_mark"
        printf '%s\n' "$host_keys" | grep -v '[^0-9A-Za-z/._-]' | sed 's/^/PathChanged=/'
        printf '\n[Install]\nWantedBy=multi-user.target\n'
    } | write root 0644 "$watch.path"
    for file in "$watch.service" "$watch.path"; do mv -f "$file.new" "$file"; done
}

remove_watch() {
    file=$periodic/hatchway-host-keys
    if is_marked "$file" "$drop_in_mark"; then rm -f "$file"; fi
    if has_made "watch $file"; then rm -f "$file.new"; fi
    if is_marked "$watch.path" "$drop_in_mark" || is_marked "$watch.service" "$drop_in_mark"; then
        if command -v systemctl >/dev/null; then
            systemctl disable --now --quiet "${watch##*/}.path" "${watch##*/}.service" || true
        fi
        for ending in path service; do
            if is_marked "$watch.$ending" "$drop_in_mark"; then rm -f "$watch.$ending"; fi
        done
        if command -v systemctl >/dev/null; then systemctl daemon-reload || true; fi
    fi
    if has_made "watch $watch"; then rm -f "$watch.path.new" "$watch.service.new"; fi
}
