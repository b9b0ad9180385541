#!/bin/sh
# Installs a compiled loopbox with its manual pages, completions and, on Linux, the units of its daemon.
#
#   packaging/install.sh PROGRAM [PREFIX]
#
# PREFIX is /usr/local if nothing is said. With DESTDIR, for those who make packages, files go below that, and name each other
# as if they were at PREFIX. The program is run: pages and completions are what it prints. Those who make packages for other machines
# name a program of the same version that runs on this one in PRINTER, and in SYSTEM what 'uname -s' says there.
set -eu

refuse() {
    echo "$0: $1" >&2
    exit "$2"
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then
    echo "usage: $0 PROGRAM [PREFIX]" >&2
    exit 2
fi
program=$1
prefix=${2:-/usr/local}
case $prefix in
    *[!A-Za-z0-9/._+=-]*) refuse "the prefix $prefix has characters that systemd and shells read otherwise" 2 ;;
    /*) ;;
    *) refuse "the prefix $prefix has to begin with /" 2 ;;
esac
case $program in
    */*) ;;
    *) program=./$program ;;
esac
printer=${PRINTER:-$program}
[ -x "$program" ] || refuse "$program is no program; 'cargo build --release --locked' makes target/release/loopbox" 1

from=$(dirname "$0")/..
to=${DESTDIR:-}$prefix
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

# A file that all may read, by its place below the prefix.
put() {
    install -d "$to/$(dirname "$2")"
    install -m 644 "$1" "$to/$2"
}

install -d "$to/bin"
install -m 755 "$program" "$to/bin/loopbox"

"$printer" man "$made"
for page in "$made"/*.1; do
    put "$page" "share/man/man1/$(basename "$page")"
done

"$printer" completions bash >"$made/bash"
put "$made/bash" share/bash-completion/completions/loopbox
"$printer" completions zsh >"$made/zsh"
put "$made/zsh" share/zsh/site-functions/_loopbox
"$printer" completions fish >"$made/fish"
put "$made/fish" share/fish/vendor_completions.d/loopbox.fish

if [ "${SYSTEM:-$(uname -s)}" = Linux ]; then
    for unit in loopbox.service loopbox.socket; do
        sed "s|/usr/local/bin/loopbox|$prefix/bin/loopbox|" "$from/builder/units/$unit" >"$made/$unit"
        put "$made/$unit" "lib/systemd/system/$unit"
    done
fi

for page in README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE; do
    put "$from/$page" "share/doc/loopbox/$page"
done
