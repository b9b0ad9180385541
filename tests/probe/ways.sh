# Inside the machine, in the newer Nix's root: builds the probes by Nix's own sandbox and by loopbox, as a build user and
# as root, and leaves what each printed in RESULTS/WAY.KIND.
#
# ways.sh RESULTS LOOPBOX EXPRESSION PROBE TREE FILE LINK SHELL KIND...
set -eu
results=$1 loopbox=$2 expression=$3 probe=$4 tree=$5 file=$6 link=$7 shell=$8
shift 8

# What a machine has that sandboxes show.
mkdir -p /run/probe/host/below
echo 'of the machine' > /run/probe/host/file
ln -s file /run/probe/host/link
ln -s host /run/probe/link
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
echo 'probe 1/tcp' > /etc/services
echo 'a certificate' > /run/probe/certificates
test -e /dev/kvm || mknod /dev/kvm c 10 232
chgrp 105 /dev/kvm
chmod 660 /dev/kvm
paths="/bin/sh=$shell/shell /opt/host=/run/probe/host /opt/file=/run/probe/host/file /opt/link=/run/probe/link \
  /opt/missing=/run/probe/missing?"

usual="experimental-features = nix-command external-builders
substituters =
max-jobs = 1
sandbox = true
sandbox-fallback = false
system-features = kvm
sandbox-paths = $paths
ssl-cert-file = /run/probe/certificates"
words=$(printf '"%s",' $paths)
external="build-users-group =
external-builders = [{\"systems\":[\"x86_64-linux\"],\"program\":\"$loopbox\",\"args\":[\"external-builder\",${words%,}]}]"
own=$(printf 'probe\n' | sha256sum | cut -d ' ' -f 1)
export PROBE_IMPURE='a value'
cp -a "$tree" /run/probe/tree

for way in nix loopbox nix-root external; do
  case $way in
    nix | loopbox) more='build-users-group = nixbld
sandbox-dev-shm-size = 25%' ;;
    nix-root) more='build-users-group =' ;;
    external) more=$external ;;
  esac
  export NIX_CONFIG="$usual
$more"
  for kind in "$@"; do
    derivation=$(nix-instantiate --quiet "$expression" -A "$kind" --argstr tree "$tree" --argstr file "$file" \
      --argstr link "$link" --argstr probe "$probe" --argstr output "$own" 2> /dev/null)
    nix-store --quiet --delete $(nix-store --query --outputs "$derivation") > /dev/null 2>&1 || true
    # Of two logs, Nix shows the older one when that is not compressed.
    rm -rf /nix/var/log/nix/drvs
    case $way in
      loopbox) build="$loopbox build" ;;
      *) build='nix-build -Q' ;;
    esac
    $build --no-out-link "$derivation" > "$results/errors" 2>&1 || {
      tail -n 20 "$results/errors" >&2
      exit 1
    }
    nix-store --read-log "$derivation" > "$results/$way.$kind"
    # Nix without build users lets builders change their inputs.
    if test $way = nix-root; then
      chmod -R u+w "$tree"
      rm -rf "$tree"
      cp -a /run/probe/tree "$tree"
      find "$tree" -exec touch -h -d @1 {} +
    fi
  done
done
