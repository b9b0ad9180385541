#!/bin/sh
# Drafts the release of a tag with the files in a directory, if another run has made the same. A person publishes it.
set -eu

cmp "$1/SHA256SUMS" "$2/SHA256SUMS"
(cd "$1" && sha256sum --check --quiet SHA256SUMS)
version=${GITHUB_REF_NAME#v}
# The part of the change log that is about this version.
awk -v heading="## $version" 'index($0, "## ") == 1 { about = index($0, heading) == 1; next } about' CHANGELOG.md >notes.md
if ! grep -q . notes.md; then
    echo "CHANGELOG.md says nothing about $version" >&2
    exit 1
fi
gh release create "$GITHUB_REF_NAME" --draft --verify-tag --title "loopbox $version" --notes-file notes.md "$1"/*
