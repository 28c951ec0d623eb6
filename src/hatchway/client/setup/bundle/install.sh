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
# With CDPATH cd prints where it went.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
aws=${HOME-}/.aws
config=${AWS_CONFIG_FILE:-$aws/config}
credentials=${AWS_SHARED_CREDENTIALS_FILE:-$aws/credentials}
certificate=$here/hatchway-ca.crt
ca=$aws/hatchway-$profile.crt
debian=/usr/local/share/ca-certificates
keychain=/Library/Keychains/System.keychain

begin="# Hatchway's profile $profile begins here"
end="# Hatchway's profile $profile ends here"

main() {
    case $profile in
    '' | -* | *[!0-9A-Za-z_.@+-]*) fail "$profile cannot name a profile: use letters, digits and . _ @ + -" ;;
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
    need_home
    for file in "$config" "$credentials"; do
        # Where it can be neither read nor added to, nothing is begun.
        if [ -e "$file" ] && ! { [ -r "$file" ] && [ -w "$file" ]; }; then
            fail "you may not read and write $file: nothing is installed"
        fi
    done
    if has "$config" "$section" || has "$config" "profile $profile" || has "$credentials" "$profile"; then
        fail "you have a profile $profile already: remove it (sh install.sh --remove, if it came from here)," \
            "or give this one another name: PROFILE=other sh install.sh"
    fi
    if [ -e "$ca" ] && ! cmp -s "$certificate" "$ca"; then
        fail "there is a file $ca already, which is another's: move it away," \
            "or give this profile another name: PROFILE=other sh install.sh"
    fi
    # Without their first lines, which name the section.
    settings=$(sed 1d "$here/config")
    secrets=$(sed 1d "$here/credentials")
    # An interrupted run leaves nothing behind.
    trap 'take_back; echo "install.sh: nothing is installed" >&2' EXIT
    trap 'exit 1' HUP INT TERM
    if [ -e "$certificate" ] && [ ! -e "$ca" ]; then
        mkdir -p "$aws"
        copied=yes
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
        echo "For the AWS CLI's tunnels, once: sudo sh $(pasted "$here/install.sh") --trust"
    fi
}

take_back() {
    cut_out "$config"
    cut_out "$credentials"
    if [ "${copied-}" ]; then rm -f "$ca"; fi
}

remove() {
    need_home
    if ! marked "$config" && ! marked "$credentials"; then
        echo "There is no profile $profile that came from here: nothing is taken away."
        return
    fi
    # The certificate goes with the lines that name it; one that no lines of ours name is another's.
    if marked "$config"; then copied=yes; fi
    take_back
    echo "The profile $profile is taken away."
}

need_home() { [ -d "${HOME-}" ] || fail "HOME does not name your home directory"; }

# Whether a file has a section, however it is written: "[profile alice]", "[ profile 'alice' ] # hers".
has() {
    [ -e "$1" ] || return 1
    awk -v wanted="$2" '
        /^[ \t]*\[.*\]/ {
            sub(/^[ \t]*\[/, "")
            sub(/\][^]]*$/, "")
            gsub(/["\047]/, "")
            gsub(/[ \t]+/, " ")
            sub(/^ /, "")
            sub(/ $/, "")
            if ($0 == wanted) found = 1
        }
        END { exit !found }
    ' "$1"
}

# Whether it has lines of ours. A beginning without an end is not ours to cut.
marked() { [ -e "$1" ] && grep -qxF "$begin" "$1" && grep -qxF "$end" "$1"; }

# A path as a shell takes it that is given it anew.
pasted() {
    case $1 in
    *[!0-9A-Za-z/._-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
    esac
}

# Within the replacement of sed's s|…|…|.
escaped() { printf '%s' "$1" | sed 's/[&|\\]/\\&/g'; }

append() {
    mkdir -p "$(dirname "$1")"
    # A last line that does not end would swallow the first of ours.
    if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo >>"$1"; fi
    lines=$(cat)
    # At once, so that none is written without the others.
    printf '%s\n' "$begin" "$lines" "$end" >>"$1"
}

# Takes our lines out of a file; the file too when nothing else was in it.
cut_out() {
    marked "$1" || return 0
    # Beside it at first: on a full disk nothing of hers is lost.
    rest=$1.without-hatchway
    awk -v begin="$begin" -v end="$end" '
        $0 == begin { held = $0; skipping = 1; next }
        skipping { held = held "\n" $0; if ($0 == end) skipping = 0; next }
        { print }
        END { if (skipping) print held }
    ' "$1" >"$rest" || { rm -f "$rest" || :; fail "$1 is left as it is: nothing can be written beside it"; }
    if [ -s "$rest" ]; then
        # Into the file that there is: it may be a link, and has an owner and a mode.
        cat "$rest" >"$1" || fail "$1 could not be written: what belongs there is in $rest"
    else
        rm -f "$1"
    fi
    rm -f "$rest"
}

need_root() {
    # Of `su` a user's PATH is left, which has not the programs that are root's.
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    [ "$(id -u)" = 0 ] || fail "only root can do this: run it with sudo"
    [ -e "$certificate" ] || fail "this bundle has no CA: there is nothing to trust"
}

# While one CA takes another's place there are two, and a system's store takes a file for each: $anchor.crt,
# $anchor-2.crt.
split() {
    parts=$(mktemp -d)
    trap 'rm -rf "$parts"' EXIT
    awk -v first="$parts/$anchor" '
        /^-----BEGIN/ { file = first (n++ ? "-" n : "") ".crt" }
        file { print >file }
    ' "$certificate"
}

trust_ca() {
    need_root
    split
    if [ -d "$debian" ] && command -v update-ca-certificates >/dev/null; then
        missing=
        for part in "$parts"/*.crt; do
            target=$debian/${part##*/}
            if cmp -s "$part" "$target"; then continue; fi
            if [ -e "$target" ]; then fail "$target is there already, and is another certificate"; fi
            missing=yes
        done
        if [ -z "$missing" ]; then
            echo "This system trusts the CA already."
            return
        fi
        for part in "$parts"/*.crt; do
            cp "$part" "$debian/${part##*/}"
            chmod 0644 "$debian/${part##*/}"
        done
        if ! update-ca-certificates; then
            untrust_ca
            fail "update-ca-certificates failed, so the CA is taken out again"
        fi
    elif command -v trust >/dev/null; then
        for part in "$parts"/*.crt; do trust anchor --store "$part"; done
    elif command -v security >/dev/null; then
        for part in "$parts"/*.crt; do security add-trusted-cert -d -r trustRoot -k "$keychain" "$part"; done
    else
        fail "this system has no store of certificates that I know: see README.txt"
    fi
    echo "This system trusts the CA."
}

untrust_ca() {
    need_root
    split
    if [ -d "$debian" ] && command -v update-ca-certificates >/dev/null; then
        if ! cmp -s "$parts/$anchor.crt" "$debian/$anchor.crt"; then fail "$debian/$anchor.crt is not the CA's"; fi
        for part in "$parts"/*.crt; do
            if cmp -s "$part" "$debian/${part##*/}"; then rm "$debian/${part##*/}"; fi
        done
        update-ca-certificates --fresh
    elif command -v trust >/dev/null; then
        for part in "$parts"/*.crt; do trust anchor --remove "$part"; done
    elif command -v security >/dev/null; then
        for part in "$parts"/*.crt; do security remove-trusted-cert -d "$part"; done
        security delete-certificate -Z "$sha1" "$keychain"
    fi
    echo "This system no longer trusts the CA."
}

main "$@"
