#!/bin/sh
# The tests that mount nothing: of units, of the server over the wire, and of the program's words.
set -eu

exec cargo test --locked --workspace --exclude tests --exclude probe --no-fail-fast
