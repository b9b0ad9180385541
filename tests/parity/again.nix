# Building what is there already: to check it, or to repair it.
{ sh, busybox, dep, ... }:
let
  # Other contents in every build.
  changing = "mkdir $out; echo same > $out/same; cat /proc/sys/kernel/random/uuid > $out/differs";
  corrupt = "chmod u+w $out; echo broken > $out; chmod 444 $out";
in
{
  check-same = {
    about = "--check of what is the same every time";
    script = "echo x > $out";
    steps = [ { } { words = [ "--check" ]; } ];
    look = "ls -d $out.check 2> /dev/null || echo none";
  };
  check-differs = {
    about = "--check of what is not";
    script = changing;
    steps = [ { } { words = [ "--check" ]; exits = 104; says = [ "may not be deterministic" "differs" ]; } ];
    look = "ls -d $out.check 2> /dev/null || echo none";
  };
  check-differs-kept = {
    about = "--check --keep-failed leaves both";
    script = changing;
    steps = [ { } { words = [ "--check" "--keep-failed" ]; exits = 104; says = [ "may not be deterministic" "differs from" ".check" ]; } ];
    look = "ls $out.check; stat -c '%A %U' $out.check; cat $out.check/same";
  };
  check-of-nothing = {
    about = "--check of what was never built";
    script = "echo x > $out";
    steps = [ { words = [ "--check" ]; exits = 1; says = [ "are not valid, so checking is not possible" ]; } ];
  };
  check-fails = {
    about = "--check of a builder that fails this time";
    script = "if [ -e /dev/shm/never ]; then exit 1; fi; test $(($(date +%s) / 2)) -ge 0; case $(cat /proc/sys/kernel/random/uuid) in never) ;; esac; echo x > $out";
    steps = [ { } { words = [ "--check" ]; } ];
  };
  check-hook = {
    about = "the diff-hook is given both, and its words are shown";
    script = changing;
    conf = ''
      run-diff-hook = true
      diff-hook = /tmp/diff-hook
    '';
    steps = [
      {
        before = "printf '#!/bin/sh\\necho \"the hook compared $(basename $1 | cut -c34-) $(basename $2 | cut -c34-) $(basename $3 | cut -c34-) $# $(id -un)\"\\ncat $1/same $2/same\\n' > /tmp/diff-hook; chmod 755 /tmp/diff-hook";
      }
      {
        words = [ "--check" ];
        exits = 104;
        says = [ "may not be deterministic" "the hook compared check-hook check-hook.check check-hook.drv 4 nixbld1" ];
      }
    ];
    look = "ls -d $out.check > /dev/null && echo left";
  };
  check-of-outputs = {
    about = "--check names the output that differs";
    script = "echo x > $out; cat /proc/sys/kernel/random/uuid > $dev";
    attrs.outputs = [ "out" "dev" ];
    steps = [ { } { words = [ "--check" ]; exits = 104; says = [ "may not be deterministic" "check-of-outputs-dev" ]; } ];
  };
  repair = {
    about = "--repair replaces an output that was changed";
    script = "echo x > $out";
    steps = [ { } { before = corrupt; words = [ "--repair" ]; } ];
    look = "cat $out; nix-store --verify-path $out && echo good; stat -c '%a %Y' $out";
  };
  repair-nothing = {
    about = "--repair of an output that is whole leaves it";
    script = "echo x > $out";
    steps = [ { } { words = [ "--repair" ]; } ];
    look = "cat $out";
  };
}
