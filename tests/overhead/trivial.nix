# Derivations that do next to nothing, so that building them shows what a build costs by itself. Each needs the one `width`
# before it; with 0, none needs another.
{ busybox, count, width, salt }:
let
  before = builtins.fromJSON width;
  node = number: derivation {
    name = "trivial-${toString number}";
    system = "x86_64-linux";
    builder = "${builtins.storePath busybox}/bin/busybox";
    args = [ "sh" "-c" "echo ${salt} ${toString number} > $out" ];
    needs = if before == 0 || number < before then "" else builtins.elemAt nodes (number - before);
  };
  nodes = builtins.genList node (builtins.fromJSON count);
in
nodes
