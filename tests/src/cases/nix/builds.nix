# What is built in the cases about stores. `salt` makes other derivations of the same; `files` is a directory to add.
{ busybox, salt ? "", files ? null, script ? "" }:
let
  program = "${builtins.storePath busybox}/bin/busybox";
  make =
    attributes: script:
    derivation ({
      name = "built-${salt}";
      system = "x86_64-linux";
      builder = program;
      args = [ "sh" "-e" "-c" script ];
      PATH = "${builtins.storePath busybox}/bin";
    } // attributes);
in
rec {
  plain = make { } "echo ${salt} > $out";
  dep = make { name = "dep-${salt}"; } "echo dep > $out";
  top = make { name = "top-${salt}"; inherit dep; } "cat $dep > $out";
  # Runs a script of the case's.
  scripted = make { name = "scripted-${salt}"; inherit dep; } script;
  # Needs something that cannot be built.
  hopeless = make { name = "hopeless-${salt}"; inherit failing; } "cat $failing > $out";
  # Sixty-four that need nothing of each other, each of which ends when somebody ends its child.
  many = builtins.genList (n: make { name = "many-${toString n}-${salt}"; } "sleep 1000 || echo ${toString n} > $out") 64;
  # Adds its own shell to whatever store it is built in, and says which files it was shown.
  carried = derivation {
    name = "carried-${salt}";
    system = "x86_64-linux";
    builder = "${files}/busybox";
    args = [ "sh" "-c" "read mark < ${files}/mark; echo $mark > $out" ];
  };
  # Refers to itself, and its outputs to each other.
  several = make { name = "several-${salt}"; outputs = [ "out" "dev" ]; inherit dep; }
    "echo $out $dev $dep > $out; echo ${salt} > $dev";
  # Asks whoever listens on the port of the machine that `salt` is, and so does what it needs.
  impure = make { name = "impure"; __impure = true; inherit pure; }
    "cat $pure > $out; ${program} nc 127.0.0.1 ${salt} >> $out < /dev/null";
  pure = make { name = "pure"; }
    "${program} nc 127.0.0.1 ${salt} > $out < /dev/null || echo nobody > $out";
  # Takes a moment.
  slow = make { name = "slow-${salt}"; } "sleep 2; echo slow > $out";
  # Looks for a file that every Debian has.
  looking = make { name = "looking-${salt}"; } "[ -e /etc/debian_version ] || echo built > $out";
  # Ends when somebody ends its child.
  held = make { name = "held-${salt}"; } "sleep 1000 || echo held > $out";
  # Fails, and leaves something.
  failing = make { name = "failing-${salt}"; } "echo left behind > left; echo something went wrong; exit 3";
  # Never the same.
  random = make { name = "random-${salt}"; } "cat /proc/sys/kernel/random/uuid > $out";
  # What its builder is, and whether it sees a file that everybody sees outside.
  surroundings = make { name = "surroundings-${salt}"; } ''
    {
      ${program} echo "uid=$(${program} id -u) $(${program} id -g)"
      ${program} echo "store=$(${program} stat -c '%a %u %g' /nix/store)"
      ${program} grep -E '^(Seccomp|NoNewPrivs|CapEff):' /proc/self/status
      ${program} echo "root=$(${program} grep ' / nfs ' /proc/self/mounts)"
      if [ -e /etc/services ]; then echo outside=shown; else echo outside=hidden; fi
    } > $out
  '';
  # More than the kernel takes for one variable.
  long = make {
    name = "long-${salt}";
    long = builtins.concatStringsSep "" (builtins.genList (_: "0123456789abcdef") (9 * 1024));
  } "echo > $out";
  # Directories that not even their owner may write to.
  unwritable = make { name = "unwritable-${salt}"; outputs = [ "out" "dev" ]; } ''
    for output in $out $dev; do ${program} mkdir $output; echo contents > $output/file; done
    ${program} chmod 555 $out; ${program} chmod 0 $dev
  '';
  # Nix's own, and for this system, not the one that is Nix itself.
  fetched = derivation {
    name = "fetched-${salt}";
    system = "x86_64-linux";
    builder = "builtin:fetchurl";
    url = "file:///nowhere";
    outputHashAlgo = "sha256";
    outputHash = builtins.hashString "sha256" "";
  };
  # Has nothing more to say, and does not end.
  closed = make { name = "closed-${salt}"; } "echo > $out; exec > /dev/null 2>&1; sleep 1000";
  # Only Nix knows where this goes.
  floating = make {
    name = "floating-${salt}";
    __contentAddressed = true;
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
  } "echo floating > $out";
  # For another machine.
  foreign = make { name = "foreign-${salt}"; system = "riscv64-linux"; } "echo foreign > $out";
  cyclic = make { name = "itself-${salt}"; } "echo $out > $out";
  flat = make {
    name = "flat";
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
    outputHash = builtins.hashString "sha256" "fixed\n";
  } "echo fixed > $out";
  recursive = make {
    name = "recursive";
    outputHashAlgo = "sha256";
    outputHashMode = "recursive";
    outputHash = "sha256-N8z8zjE1gJtQA9jNt9BzmdII3NGO59dM4e9+iSUVwx8=";
  } "echo fixed > $out";
}
