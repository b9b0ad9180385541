# Many derivations that do next to nothing, so that building them shows what a build costs by itself.
{ busybox, count, salt }:
builtins.genList (number: derivation {
  name = "trivial-${toString number}";
  system = "x86_64-linux";
  builder = "${builtins.storePath busybox}/bin/busybox";
  args = [ "sh" "-c" "echo ${salt} ${toString number} > $out" ];
}) (builtins.fromJSON count)
