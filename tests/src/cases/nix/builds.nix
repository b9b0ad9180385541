# What is built in the cases about stores. `salt` makes other derivations of the same; `files` is a directory to add.
{ busybox, salt ? "", files ? null }:
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
  # Adds its own shell to whatever store it is built in, and says which files it was shown.
  carried = derivation {
    name = "carried-${salt}";
    system = "x86_64-linux";
    builder = "${files}/busybox";
    args = [ "sh" "-c" "read mark < ${files}/mark; echo $mark > $out" ];
  };
}
