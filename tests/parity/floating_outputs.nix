# Outputs whose paths are not known before the build, where Nix is allowed to have them.
{ sh, busybox, graph, ... }:
let
  # Writes the Nix file that the builders are given.
  file = name: more: ''
    echo 'import ${toString ./floating_graph.nix} { sh = import ${toString graph}/sh.nix { busybox = builtins.storePath ${busybox}; }; ${more} }' > /tmp/${name}.nix
  '';
  allowed = "extra-experimental-features = nix-command ca-derivations";
  # All that the store knows of them but who made them.
  known = "for path in $(ls -d /nix/store/*-ca-* | grep -v -e drv -e chroot); do nix-store --dump-db $path; done";
in
{
  floating-graph = {
    about = "content-addressed outputs that refer to themselves and to each other, and one that needs them";
    script = "echo x > $out";
    conf = allowed;
    steps = [ { before = file "floating" ""; words = [ "/tmp/floating.nix" "-A" "user" ]; } ];
    look = known;
  };
  floating-same = {
    about = "what another derivation has made already has the same path";
    script = "echo x > $out";
    conf = allowed;
    steps = [
      { before = file "floating" ""; words = [ "/tmp/floating.nix" "-A" "user" ]; }
      { words = [ "/tmp/floating.nix" "-A" "same" ]; }
    ];
    look = "ls -d /nix/store/*-ca-text";
  };
  floating-fails = {
    about = "a content-addressed derivation that fails";
    script = "echo x > $out";
    conf = allowed;
    steps = [
      {
        before = file "failing" "status = 3;";
        words = [ "/tmp/failing.nix" "-A" "failing" ];
        exits = 100;
        says = [ "ca-failing" "failed with exit code 3" ];
      }
    ];
    look = "ls -d /nix/store/*-ca-failing";
  };
}
