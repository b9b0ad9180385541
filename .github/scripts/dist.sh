#!/bin/sh
# What people download, in target/dist, for the tag that is being released; the forge says who releases it.
set -eu

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
tag=${GITHUB_REF_NAME:-v$version}
if [ "$tag" != "v$version" ]; then
    echo "the tag is $tag, and the version in Cargo.toml $version" >&2
    exit 1
fi
# The checkout may be somebody else's than this container's root's.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$PWD"
if [ -n "${GITHUB_REPOSITORY:-}" ]; then
    exec cargo xtask dist --repository "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
fi
exec cargo xtask dist
