#!/bin/sh
# Starts this machine's program out of the directory that has the archives, and has a Mac look at its signature.
set -eu

cd "$1"
case $(uname -sm) in
    'Linux x86_64') target=x86_64-unknown-linux-musl ;;
    'Linux aarch64') target=aarch64-unknown-linux-musl ;;
    'Darwin arm64') target=aarch64-apple-darwin ;;
    'Darwin x86_64') target=x86_64-apple-darwin ;;
    *)
        echo "nothing is made for $(uname -sm)" >&2
        exit 1
        ;;
esac
if command -v sha256sum >/dev/null; then
    sha256sum --check --quiet SHA256SUMS
else
    shasum -a 256 --check --quiet SHA256SUMS
fi
mkdir unpacked
tar -xzf ./loopbox-*-"$target".tar.gz -C unpacked --strip-components 1
if [ "$target" = aarch64-apple-darwin ]; then
    codesign --verify --strict --verbose unpacked/bin/loopbox
fi
PATH=$PWD/unpacked/bin:$PATH
loopbox man > loopbox.1
loopbox run --dry-run --preset base -- true
loopbox doctor || echo "this machine lacks something"
