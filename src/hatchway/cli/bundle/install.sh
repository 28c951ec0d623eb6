#!/bin/sh
# Adds the AWS profile of this bundle to yours, and has your system trust Hatchway.
#
#   sh install.sh                   adds the profile, and the CA's certificate beside it
#   sh install.sh --remove          takes both away again
#   sudo sh install.sh --trust      has this system trust the CA, as the AWS CLI's tunnels take
#   sudo sh install.sh --untrust    takes that back
#
# It changes nothing else. PROFILE=other sh install.sh gives the profile another name.

set -eu
umask 077

profile=${PROFILE:-@PROFILE@}
anchor=@ANCHOR@
sha1=@SHA1@
here=$(cd "$(dirname "$0")" && pwd)
config=${AWS_CONFIG_FILE:-$HOME/.aws/config}
credentials=${AWS_SHARED_CREDENTIALS_FILE:-$HOME/.aws/credentials}
certificate=$here/hatchway-ca.crt
ca=$HOME/.aws/hatchway-$profile.crt
debian=/usr/local/share/ca-certificates
keychain=/Library/Keychains/System.keychain

begin="# Hatchway's profile $profile begins here"
end="# Hatchway's profile $profile ends here"

main() {
    case $profile in
    '' | *[!0-9A-Za-z_.@+-]*) fail "$profile cannot name a profile: use letters, digits and . _ @ + -" ;;
    default) section=default ;;
    *) section="profile $profile" ;;
    esac
    case $* in
    '') add ;;
    --remove) remove ;;
    --trust) trust_ca ;;
    --untrust) untrust_ca ;;
    *) fail "usage: sh install.sh [--remove | --trust | --untrust]" ;;
    esac
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

add() {
    if has "$config" "[$section]" || has "$credentials" "[$profile]"; then
        fail "you have a profile $profile already: remove it (sh install.sh --remove, if it came from here)," \
            "or give this one another name: PROFILE=other sh install.sh"
    fi
    # Without their first lines, which name the section.
    settings=$(sed 1d "$here/config")
    secrets=$(sed 1d "$here/credentials")
    # An interrupted run leaves nothing behind.
    trap 'remove' EXIT
    trap 'exit 1' HUP INT TERM
    if [ -e "$certificate" ]; then
        mkdir -p "$HOME/.aws"
        cp "$certificate" "$ca"
        chmod 0600 "$ca"
    fi
    printf '%s\n' "[$section]" "$settings" | sed "s|^ca_bundle = .*|ca_bundle = $(escaped "$ca")|" |
        append "$config"
    printf '%s\n' "[$profile]" "$secrets" | append "$credentials"
    # It holds a secret now, whoever could read it before.
    chmod go-rwx "$credentials"
    trap - EXIT
    echo "The profile $profile is in $config and $credentials."
    echo "Try: aws --profile $profile sts get-caller-identity"
    if [ -n "${AWS_CA_BUNDLE:-}" ]; then
        echo "AWS_CA_BUNDLE is set, so that AWS tools ignore the profile's CA: unset it"
    fi
    if [ -e "$certificate" ]; then
        echo "For the AWS CLI's tunnels, once: sudo sh $here/install.sh --trust"
    fi
}

remove() {
    cut_out "$config"
    cut_out "$credentials"
    rm -f "$ca"
    echo "The profile $profile is taken away."
}

has() { [ -e "$1" ] && grep -qxF "$2" "$1"; }

# Within the replacement of sed's s|…|…|.
escaped() { printf '%s' "$1" | sed 's/[&|\\]/\\&/g'; }

append() {
    mkdir -p "$(dirname "$1")"
    # A last line that does not end would swallow the first of ours.
    if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo >>"$1"; fi
    {
        echo "$begin"
        cat
        echo "$end"
    } >>"$1"
}

# Takes our lines out of a file; the file too when nothing else was in it. A beginning without an end is not ours to cut.
cut_out() {
    [ -e "$1" ] || return 0
    rest=$(
        awk -v begin="$begin" -v end="$end" '
            $0 == begin { held = $0; skipping = 1; next }
            skipping { held = held "\n" $0; if ($0 == end) skipping = 0; next }
            { print }
            END { if (skipping) print held; print "." }
        ' "$1"
    )
    if [ "$rest" = . ]; then rm -f "$1"; else printf '%s' "${rest%.}" >"$1"; fi
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "only root can do this: run it with sudo"
    [ -e "$certificate" ] || fail "this bundle has no CA: there is nothing to trust"
}

trust_ca() {
    need_root
    if [ -d "$debian" ] && command -v update-ca-certificates >/dev/null; then
        target=$debian/$anchor.crt
        if [ -e "$target" ]; then fail "$target is there already"; fi
        cp "$certificate" "$target"
        chmod 0644 "$target"
        if ! update-ca-certificates; then
            untrust_ca
            fail "update-ca-certificates failed, so the CA is taken out again"
        fi
    elif command -v trust >/dev/null; then
        trust anchor --store "$certificate"
    elif command -v security >/dev/null; then
        security add-trusted-cert -d -r trustRoot -k "$keychain" "$certificate"
    else
        fail "this system has no store of certificates that I know: see README.txt"
    fi
    echo "This system trusts the CA."
}

untrust_ca() {
    need_root
    if [ -d "$debian" ] && command -v update-ca-certificates >/dev/null; then
        if ! cmp -s "$certificate" "$debian/$anchor.crt"; then fail "$debian/$anchor.crt is not the CA's"; fi
        rm "$debian/$anchor.crt"
        update-ca-certificates --fresh
    elif command -v trust >/dev/null; then
        trust anchor --remove "$certificate"
    elif command -v security >/dev/null; then
        security remove-trusted-cert -d "$certificate"
        security delete-certificate -Z "$sha1" "$keychain"
    fi
    echo "This system no longer trusts the CA."
}

main "$@"
