# A host that registers itself, by an enrollment token. Functions of install.sh, whose variables they use.

# identify: sets `token` and `instance_id`: those that this host has had since it registered, if Hatchway knows them still,
# or else new ones, for which it registers.
identify() {
    [ -n "$enrollment_token" ] || return 0
    token=$(sed -n 's/^header = "Authorization: Bearer \(hwh_i-[0-9A-Za-z_-]*\)"$/\1/p' "$directory/curl.conf" 2>/dev/null) || token=
    if [ -n "$token" ]; then
        named_by_token
        write_files
        case $(ask .new --data trial=yes) in
        *'HTTP status 401') say "Hatchway knows $instance_id no more: this host registers anew" ;;
        *) return 0 ;;
        esac
    fi
    register_host
}

named_by_token() {
    instance_id=${token#hwh_}
    instance_id=${instance_id%%_*}
}

# The server tells the host token this once. So it is kept at once, and stays when a later step fails.
register_host() {
    name=${given_name:-$(uname -n)}
    case $name in
    '' | *[!A-Za-z0-9._-]*) fail "this host calls itself '$name': give its name in Hatchway with --name" ;;
    esac
    case $given_address in
    '') place= ;;
    *[!0-9a-fA-F.:]*) fail "'$given_address' is not an address" ;;
    *:*) place=", \"ipv6\": \"$given_address\"" ;;
    *) place=", \"private_ip\": \"$given_address\"" ;;
    esac
    write_certificate
    for pause in 2 5 0; do
        status=0
        # The token comes on standard input: an argument could be read by whoever lists processes.
        said=$(
            printf 'header = "Authorization: Bearer %s"\n' "$enrollment_token" | env -i PATH="$PATH" LC_ALL=C \
                curl -q --config - --cacert "$directory/ca.pem.new" --silent --show-error --proto '=https' --globoff \
                --connect-timeout 4 --max-time 30 --write-out '\nHTTP status %{http_code}\n' \
                --header 'Content-Type: application/json' --data "{\"name\": \"$name\"$place}" \
                "$api_url/host/v1/enroll" 2>&1
        ) || status=$?
        # curl(1), "EXIT CODES": nothing was sent. What was sent may have been done, and is not sent again.
        case $status in 6 | 7) sleep "$pause" ;; *) break ;; esac
    done
    answer=$(printf '%s\n' "$said" | sed -n 's/^HTTP status \([0-9]*\)$/\1/p')
    trouble=$(printf '%s\n' "$said" | grep -v '^HTTP status' | grep . | head -n 1 | tr -cd ' -~') || trouble=
    case $trouble in *hwh_*) trouble= ;; esac
    case $status:$answer in
    0:200) ;;
    0:409) fail "$api_url does not register this host as $name: $trouble. Where it is the host of that name, set up anew, take" \
        "the former one out ('hatchway instance deregister $name'), or give this one a script of its own" \
        "('hatchway host script $name')" ;;
    *) fail "$api_url does not register this host: ${trouble:-curl exit status $status, HTTP status $answer}" ;;
    esac
    token=$(printf '%s\n' "$said" | sed -n 's/.*"token": *"\(hwh_i-[0-9A-Za-z_-]*\)".*/\1/p')
    [ -n "$token" ] || fail "what answers at $api_url is no Hatchway"
    named_by_token
    write_curl_conf
    mv -f "$directory/curl.conf.new" "$directory/curl.conf"
    fresh=no
    outcome="but this host is registered, as $instance_id: run this again"
}
