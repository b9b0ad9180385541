# How everything is built: busybox's shell runs a script, and nothing else is there unless the script names it.
{ busybox }:
{ name, script, path ? [ ], ... }@attributes:
derivation ({
  system = "x86_64-linux";
  builder = "${busybox}/bin/busybox";
  args = [ "sh" "-e" "-c" script ];
} // (if attributes.__structuredAttrs or false then { } else {
  PATH = builtins.concatStringsSep ":" (map (package: "${package}/bin") path ++ [ "${busybox}/bin" ]);
}) // removeAttrs attributes [ "script" "path" ])
