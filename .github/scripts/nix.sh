#!/bin/sh
# Installs Nix, and builds bash from source in a view. Its configure script looks for libraries that the machine may have from
# elsewhere, as from Homebrew: report.json and report.html say what it asked for and did not get.
set -eu

profile=/nix/var/nix/profiles/default/bin
if [ ! -x "$profile/nix" ]; then
    curl --proto '=https' --tlsv1.2 --fail --location https://nixos.org/nix/install -o install-nix
    sh install-nix --daemon --yes
fi
PATH=$profile:$PATH
export PATH

# No cache has it by this name, so it is built.
bash='(import <nixpkgs> { }).bash.overrideAttrs { pname = "bash-in-a-view"; }'
sudo env "PATH=$PATH" target/release/loopbox build --report=report.json -I nixpkgs=channel:nixos-unstable -E "$bash"
sudo chown "$(id -u)" report.json
target/release/loopbox report --html report.html report.json

if [ "$(uname -s)" = Linux ]; then
    # As everybody does it, through Nix's daemon.
    sudo env "PATH=$PATH" target/release/loopbox setup --write
    nix-build -I nixpkgs=channel:nixos-unstable --no-out-link -E '(import <nixpkgs> { }).hello.overrideAttrs { pname = "hello-in-a-view"; }'
    sudo env "PATH=$PATH" target/release/loopbox setup --undo
fi
