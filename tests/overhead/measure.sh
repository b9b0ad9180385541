# Inside the machine: builds COUNT trivial derivations that nobody has built before, two at a time, and prints how many
# milliseconds that took.
#
# measure.sh nix|LOOPBOX EXPRESSION BUSYBOX COUNT WIDTH SALT
set -eu
export NIX_CONFIG='experimental-features = nix-command
build-users-group = nixbld
substituters =
sandbox = true
sandbox-fallback = false
sandbox-paths ='
derivations=$(nix-instantiate --quiet "$2" --argstr busybox "$3" --argstr count "$4" --argstr width "$5" --argstr salt "$6" 2> /dev/null)
case $1 in
  nix) build='nix-store --quiet --realise -j 2 -Q' ;;
  *) build="$1 build -j 2 -Q --no-out-link" ;;
esac
read -r began _ < /proc/uptime
$build $derivations > /dev/null 2> /tmp/errors || {
  tail -n 20 /tmp/errors >&2
  exit 1
}
read -r ended _ < /proc/uptime
# Every output is there and valid.
test "$(nix-store --query --outputs $derivations | xargs nix-store --query --hash | wc -l)" = "$4"
# In hundredths of a second.
echo $((${ended%.*}${ended#*.} - ${began%.*}${began#*.}))0
