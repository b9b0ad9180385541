# Builders that fail, and builds that cannot begin.
{ sh, busybox, dep, ... }:
let
  failing = name: sh { inherit name; script = "exit 3"; };
  fixed = { outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" "x"; };
  slow = sh { name = "slow"; script = "sleep 100"; };
  promised = sh ({ name = "promised"; script = "echo y > $out"; } // fixed);
in
{
  fails-1 = { about = "exit status 1"; script = "exit 1"; exits = 100; says = [ "failed with exit code 1" ]; };
  fails-3 = { about = "exit status 3"; script = "echo x > $out; exit 3"; exits = 100; says = [ "failed with exit code 3" ]; };
  fails-100 = { about = "exit status 100"; script = "exit 100"; exits = 100; says = [ "failed with exit code 100" ]; };
  fails-255 = { about = "exit status 255"; script = "exit 255"; exits = 100; says = [ "failed with exit code 255" ]; };
  killed = {
    about = "a builder that the kernel kills";
    script = "ulimit -t 1; while :; do :; done";
    exits = 100;
    says = [ "signal 9" ];
  };
  output-closed-early = {
    about = "a builder that closes its output and goes on is killed";
    script = "echo x > $out; exec > /dev/null 2>&1; sleep 20";
    exits = 100;
    says = [ "signal 9" ];
  };
  builder-missing = {
    about = "a builder that is not there";
    drv = derivation { name = "builder-missing"; system = "x86_64-linux"; builder = "${busybox}/bin/nothing"; };
    exits = 100;
    says = [ "No such file or directory" "/bin/nothing" ];
  };
  builder-not-executable = {
    about = "a builder that is no program";
    drv = derivation { name = "builder-not-executable"; system = "x86_64-linux"; builder = builtins.toFile "text" "x"; };
    exits = 100;
    says = [ "Permission denied" ];
  };
  builder-directory = {
    about = "a builder that is a directory";
    drv = derivation { name = "builder-directory"; system = "x86_64-linux"; builder = "${busybox}/bin"; };
    exits = 100;
    says = [ "Permission denied" ];
  };
  builder-without-interpreter = {
    about = "a script whose interpreter is not there";
    drv = derivation {
      name = "builder-without-interpreter";
      system = "x86_64-linux";
      builder = sh { name = "script"; script = "echo '#!/no/such/shell' > $out; chmod 755 $out"; };
    };
    exits = 100;
    says = [ "No such file or directory" ];
  };
  builder-outside = {
    about = "a builder of the machine that is not in the sandbox";
    drv = derivation { name = "builder-outside"; system = "x86_64-linux"; builder = "/usr/bin/env"; };
    exits = 100;
    says = [ "No such file or directory" ];
  };
  timeout = {
    about = "a build that takes too long";
    script = "while sleep 0.1; do echo x; done";
    steps = [ { words = [ "--timeout" "1" ]; exits = 101; says = [ "timed out after 1 seconds" ]; } ];
  };
  silent = {
    about = "a build that is silent for too long";
    script = "echo x; sleep 100";
    conf = "max-silent-time = 1";
    exits = 101;
    says = [ "timed out after 1 seconds" ];
  };
  log-too-long = {
    about = "a build that writes too much";
    script = "while echo 0123456789; do :; done";
    conf = "max-build-log-size = 5000";
    exits = 1;
    says = [ "killed after writing more than 5000 bytes of log output" ];
  };
  feature-missing = {
    about = "a feature that this machine does not have";
    script = "touch $out";
    attrs.requiredSystemFeatures = [ "a-quantum-computer" ];
    exits = 100;
    says = [ "a-quantum-computer" "missing system features" "Required features" ];
  };
  feature-present = {
    about = "a feature that this machine has";
    script = "echo x > $out";
    attrs.requiredSystemFeatures = [ "big-parallel" "nixos-test" "benchmark" ];
  };
  system-other = {
    about = "a derivation for another system";
    script = "touch $out";
    attrs.system = "sparc64-solaris";
    exits = 100;
    says = [ "sparc64-solaris" "platform mismatch" "Required system" ];
  };
  system-extra = {
    about = "a derivation for a system that this machine can run besides its own";
    script = "uname -m > $out";
    attrs.system = "i686-linux";
    conf = "extra-platforms = i686-linux";
  };
  evaluation-fails = {
    about = "a Nix file that does not evaluate keeps everything from being built";
    script = "echo x > $out";
    steps = [ { words = [ "${toString ./.}/no-such-file.nix" ]; exits = 1; says = [ "no-such-file.nix" ]; } ];
  };
  content-addressed = {
    about = "content-addressed derivations are an experimental feature, which is off";
    script = "echo x > $out";
    steps = [ { words = [ "${toString ./floating.nix}" ]; exits = 1; says = [ "ca-derivations" "is disabled" ]; } ];
  };
  no-chroot = {
    about = "a derivation that asks for no sandbox";
    script = "touch $out";
    attrs.__noChroot = true;
    exits = 1;
    says = [ "__noChroot" ];
  };
  impure-path-not-allowed = {
    about = "a host path that may not be asked for";
    script = "touch $out";
    attrs.__impureHostDeps = [ "/usr/lib/x" ];
    exits = 1;
    says = [ "/usr/lib/x" "allowed-impure-host-deps" ];
  };
  dependency-fails = {
    about = "an input that cannot be built";
    script = "cat ${failing "broken-input"} > $out";
    exits = 100;
    says = [ "failed with exit code 3" ];
  };
  dependency-fails-keep-going = {
    about = "with --keep-going the other inputs are built all the same";
    script = "cat ${failing "broken-too"} ${sh { name = "zz-well"; script = "echo well > $out"; }} > $out";
    steps = [ { words = [ "--keep-going" ]; exits = 100; says = [ "failed with exit code 3" ]; } ];
    look = "ls /nix/store | grep -c -- '-zz-well$'";
  };
  dependencies-fail-differently = {
    about = "time passed and a wrong hash: the statuses are put together";
    script = "cat ${slow} ${promised} > $out";
    conf = "timeout = 1";
    steps = [ { words = [ "--keep-going" ]; exits = 103; says = [ "timed out after 1 seconds" "hash mismatch" ]; } ];
  };
  dependency-refused = {
    about = "an input whose outputs are not accepted";
    script = "cat ${sh { name = "makes-nothing"; script = "true"; }} > $out";
    exits = 1;
    says = [ "failed to produce output path" ];
  };
}
