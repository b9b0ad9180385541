# How everything is built: busybox's shell runs a script, and nothing else is there unless the script names it. `salt` makes other
# derivations of the same.
{ busybox, salt ? "" }:
{ name, script, path ? [ ], ... }@attributes:
derivation ({
  system = "x86_64-linux";
  builder = "${busybox}/bin/busybox";
  args = [ "sh" "-e" "-c" script ];
} // (if attributes.__structuredAttrs or false then { } else {
  PATH = builtins.concatStringsSep ":" (map (package: "${package}/bin") path ++ [ "${busybox}/bin" ]);
}) // (if salt == "" then { } else { inherit salt; }) // removeAttrs attributes [ "script" "path" ])
