# Inside the machine: builds derivations that nobody has built before, COUNT at least, two at a time, and prints how many
# milliseconds that took.
#
# measure.sh nix|build|external|hook LOOPBOX EXPRESSION BUSYBOX COUNT WIDTH SALT
set -eu
export NIX_CONFIG='experimental-features = nix-command
build-users-group = nixbld
substituters =
sandbox = true
sandbox-fallback = false
sandbox-paths ='
way=$1 loopbox=$2
shift 2
derivations=$(nix-instantiate --quiet "$1" --argstr busybox "$2" --argstr count "$3" --argstr width "$4" --argstr salt "$5" 2> /dev/null)
build='nix-store --quiet --realise -j 2 -Q'
case $way in
  nix) ;;
  build) build="$loopbox build -j 2 -Q --no-out-link" ;;
  hook)
    printf '#!/bin/sh\nexec %s build-hook "$@"\n' "$loopbox" > /tmp/build-hook
    chmod +x /tmp/build-hook
    NIX_CONFIG="$NIX_CONFIG
build-hook = /tmp/build-hook"
    ;;
  external)
    # Nix runs it as a build user, and loopbox's daemon mounts for that.
    # The checkout may lie in a home that is closed to others.
    cp "$loopbox" /tmp/loopbox
    loopbox=/tmp/loopbox socket=/run/loopbox.socket
    rm -f $socket
    # As systemd starts it.
    sh -c 'echo $$ > /sys/fs/cgroup/loopbox/daemon/cgroup.procs; exec "$@"' sh "$loopbox" --socket $socket daemon > /dev/null 2> /tmp/daemon-errors &
    trap 'kill $!' EXIT
    until [ -S $socket ]; do sleep 0.1; done
    NIX_CONFIG="$NIX_CONFIG
extra-experimental-features = external-builders
external-builders = [{\"systems\":[\"x86_64-linux\"],\"program\":\"$loopbox\",\"args\":[\"external-builder\"]}]"
    ;;
esac
read -r began _ < /proc/uptime
$build $derivations > /dev/null 2> /tmp/errors || {
  tail -n 20 /tmp/errors /tmp/daemon-errors >&2 || true
  exit 1
}
read -r ended _ < /proc/uptime
# Every output is there and valid.
outputs=$(nix-store --query --outputs $derivations)
test "$(nix-store --query --hash $outputs | wc -l)" -ge "$3"
# In hundredths of a second.
echo $((${ended%.*}${ended#*.} - ${began%.*}${began#*.}))0
