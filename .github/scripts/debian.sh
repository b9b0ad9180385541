#!/bin/sh
# What a minimal Debian lacks for compiling loopbox: a C compiler, and the Rust that rust-toolchain.toml names.
set -eu

apt-get install --yes --no-install-recommends curl gcc libc6-dev
curl --proto '=https' --tlsv1.2 --fail --silent --show-error https://sh.rustup.rs | sh -s -- -y --no-modify-path --profile minimal
cargo=${CARGO_HOME:-$HOME/.cargo}/bin
PATH=$cargo:$PATH rustup toolchain install
if [ -n "${GITHUB_PATH:-}" ]; then
    echo "$cargo" >>"$GITHUB_PATH"
fi
