# What happens around a build: processes, logs, hooks, kept directories.
{ sh, busybox, dep, ... }:
let
  log = "nix-store --read-log $drv";
  kept = "grep -o '/nix/var/nix/builds/[^ \"'\"'\"']*' $said | head -n 1";
in
{
  left-running = {
    about = "what the builder leaves running does not keep the build from ending";
    script = "echo x > $out; (sleep 1000; echo y > $out) & sleep 1000 &";
  };
  left-running-closed = {
    about = "nor when it has closed everything";
    script = "echo x > $out; setsid sleep 1000 < /dev/null > /dev/null 2>&1 &";
  };
  others-of-the-user = {
    about = "processes of the build user from before the build are killed";
    script = "echo x > $out";
    steps = [ { before = "chroot --userspec=nixbld1:nixbld / sleep 1000 & echo $! > /tmp/before"; } ];
    look = "sleep 0.2; kill -0 $(cat /tmp/before) 2> /dev/null && grep -q sleep /proc/$(cat /tmp/before)/comm && echo alive || echo gone";
  };
  log-plain = {
    about = "the log is kept where it is looked for";
    script = "echo to output; echo to error >&2; echo x > $out";
    look = log;
  };
  log-bytes = {
    about = "the log has every byte";
    script = "printf 'a\\tb\\r\\n\\377\\0\\033[1m'; seq 1000; printf 'no end'; echo x > $out";
    look = "${log} | sha256sum";
  };
  log-compressed = {
    about = "the log is compressed as the settings say";
    script = "echo words; echo x > $out";
    look = "cd /nix/var/log/nix/drvs; base=$(basename $drv); ls -l $(echo $base | cut -c1-2) | grep $(echo $base | cut -c3-) | cut -c1-10; ls $(echo $base | cut -c1-2) | grep $(echo $base | cut -c3-)";
  };
  log-not-compressed = {
    about = "without compression";
    script = "echo words; echo x > $out";
    conf = "compress-build-log = false";
    look = "base=$(basename $drv); ls /nix/var/log/nix/drvs/$(echo $base | cut -c1-2) | grep $(echo $base | cut -c3-)";
  };
  log-none = {
    about = "without a log";
    script = "echo words; echo x > $out";
    conf = "keep-build-log = false";
    look = "base=$(basename $drv); ls /nix/var/log/nix/drvs/$(echo $base | cut -c1-2) 2> /dev/null | grep $(echo $base | cut -c3-) || echo none";
  };
  log-of-a-failure = {
    about = "a failed build's log is kept too, and its end is shown";
    script = "for i in $(seq 100); do echo line $i; done; exit 3";
    conf = "log-lines = 7";
    steps = [ { words = [ "-Q" ]; exits = 100; says = [ "> line 94" "> line 100" "Last 7 log lines" ]; } ];
    look = "${log} | wc -l; grep -c '> line' $said";
  };
  log-structured = {
    about = "structured log lines are told and kept, but not repeated as they are";
    script = ''
      echo '@nix { "action": "setPhase", "phase": "installPhase" }'
      echo '@nix { "action": "msg", "level": 0, "msg": "a word to the wise" }'
      echo '@nix { "action": "start", "id": 1, "level": 3, "type": 105, "text": "x" }'
      echo '@nix broken'
      echo '@nix { "no": "action" }'
      echo plain
      exit 3
    '';
    steps = [ { words = [ "-Q" ]; exits = 100; says = [ "a word to the wise" "> plain" "> @nix broken" ]; } ];
    look = "${log}; grep -c '> @nix { \"action' $said";
  };
  keep-failed = {
    about = "the directory of a failed build stays, for whoever asked for it to read";
    script = "echo x > left; mkdir d; exit 3";
    steps = [ { words = [ "--keep-failed" ]; exits = 100; says = [ "keeping build directory" ]; } ];
    look = "k=$(${kept}); stat -c '%A %U %G' $k $k/left $(dirname $k); ls -A $k; basename $k; dirname $(dirname $k)";
  };
  keep-failed-not = {
    about = "without being asked nothing of a failed build stays";
    script = "echo x > left; exit 3";
    exits = 100;
    look = "ls /nix/var/nix/builds | grep keep-failed-not; ls /nix/store | grep -e keep-failed-not | grep -v -e drv$ -e lock$";
  };
  post-build-hook = {
    about = "the post-build-hook is told what was built";
    script = "echo x > $out; echo y > $dev";
    attrs.outputs = [ "out" "dev" ];
    steps = [
      {
        before = "printf '#!/bin/sh\\n{ echo \"$DRV_PATH\"; echo \"$OUT_PATHS\"; echo \"$NIX_CONFIG\" | grep -c max-jobs; } > /tmp/hooked; echo the hook said this\\n' > /tmp/hook; chmod 755 /tmp/hook";
        says = [ "the hook said this" ];
      }
    ];
    conf = "post-build-hook = /tmp/hook";
    look = "cat /tmp/hooked";
  };
  post-build-hook-fails = {
    about = "a post-build-hook that fails makes the build fail, but what was built stays";
    script = "echo x > $out";
    steps = [
      {
        before = "printf '#!/bin/sh\\nexit 7\\n' > /tmp/bad-hook; chmod 755 /tmp/bad-hook";
        exits = 1;
        says = [ "/tmp/bad-hook" "failed with exit code 7" ];
      }
    ];
    conf = "post-build-hook = /tmp/bad-hook";
  };
  pre-build-hook = {
    about = "the pre-build-hook is given the derivation, and shows more of the machine";
    script = "cat /shown/file /tmp-hooked > $out; ls /shown >> $out";
    steps = [
      {
        before = "mkdir -p /tmp/shown; echo a > /tmp/shown/file; printf '#!/bin/sh\necho \"$1\" > /tmp/asked; echo extra-sandbox-paths; echo /shown=/tmp/shown; echo /tmp-hooked=/tmp/shown/file; echo; echo extra-chroot-dirs; echo /tmp/shown; printf /not-ended\n' > /tmp/pre-hook; chmod 755 /tmp/pre-hook";
      }
    ];
    conf = "pre-build-hook = /tmp/pre-hook";
    look = "cat /tmp/asked; test \"$(cat /tmp/asked)\" = $drv && echo the same";
  };
  pre-build-hook-overrides = {
    about = "what the pre-build-hook shows is in place of a sandbox path";
    script = "cat /shown > $out";
    steps = [
      {
        before = "echo a > /tmp/setting; echo b > /tmp/hook-shows; printf '#!/bin/sh\necho extra-sandbox-paths; echo /shown=/tmp/hook-shows\n' > /tmp/other-pre-hook; chmod 755 /tmp/other-pre-hook";
      }
    ];
    conf = ''
      pre-build-hook = /tmp/other-pre-hook
      extra-sandbox-paths = /shown=/tmp/setting
    '';
  };
  pre-build-hook-fails = {
    about = "a pre-build-hook that fails is a build that fails";
    script = "echo x > $out";
    steps = [
      {
        before = "printf '#!/bin/sh\nexit 7\n' > /tmp/bad-pre-hook; chmod 755 /tmp/bad-pre-hook";
        exits = 1;
        says = [ "/tmp/bad-pre-hook" "failed with exit code 7" ];
      }
    ];
    conf = "pre-build-hook = /tmp/bad-pre-hook";
  };
  pre-build-hook-unknown = {
    about = "a pre-build-hook that asks for something unknown is a build that fails";
    script = "echo x > $out";
    steps = [
      {
        before = "printf '#!/bin/sh\necho more-paths\n' > /tmp/odd-pre-hook; chmod 755 /tmp/odd-pre-hook";
        exits = 1;
        says = [ "unknown pre-build hook command 'more-paths'" ];
      }
    ];
    conf = "pre-build-hook = /tmp/odd-pre-hook";
  };
  pre-build-hook-missing-path = {
    about = "a path that the pre-build-hook shows has to exist";
    script = "echo x > $out";
    steps = [
      {
        before = "printf '#!/bin/sh\necho extra-sandbox-paths; echo /nowhere\n' > /tmp/far-pre-hook; chmod 755 /tmp/far-pre-hook";
        exits = 1;
        says = [ "/nowhere" ];
      }
    ];
    conf = "pre-build-hook = /tmp/far-pre-hook";
  };
  unregistered-leftovers = {
    about = "what lies at the output's path and is not valid is replaced";
    script = "echo x > $out";
    steps = [ { before = "mkdir -p $out/left; chmod 555 $out"; } ];
  };
  one-output-left = {
    about = "of two outputs only the missing one is taken";
    script = "echo x > $out; echo y > $dev";
    attrs.outputs = [ "out" "dev" ];
    steps = [ { } { before = "nix-store --delete $out > /dev/null 2>&1"; } ];
  };
  nothing-to-do = {
    about = "what is valid is not built again";
    script = "echo x > $out; date +%s%N > /dev/null";
    steps = [ { } { } ];
  };
}
