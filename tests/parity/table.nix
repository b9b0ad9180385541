# The table of derivations that Nix's own sandbox and loopbox have to build, or refuse, alike.
#
# A row is an attribute set; its attribute name is also the derivation's name unless it has one of its own:
#   about    what it tests, in a sentence
#   script   what busybox's shell runs, or
#   drv      a derivation made otherwise
#   attrs    more attributes for the script's derivation
#   conf     lines for NIX_CONFIG
#   steps    runs one after the other [ { } ], each with
#              before  a shell script that runs first; $drv and $out name the derivation and its first output
#              words   more words of the command line
#              exits   the exit status of nix-build, which has to be that of `loopbox build` too [0]
#              says    texts that both have to write to standard error
#   exits, says   those of the only step
#   look     a shell script that runs last; what it prints has to be the same. $said is what the last step wrote
#
# Rows of one step that exits with 0 and has neither words nor settings of its own are built by one command.
{ graph }:
let
  read = file: builtins.fromJSON (builtins.readFile file);
  busybox = builtins.storePath (read (graph + "/inputs.json")).busybox;
  sh = import (graph + "/sh.nix") { inherit busybox; };
  # Structured attributes leave no PATH and no $out in the environment.
  structured = attributes: sh (attributes // {
    __structuredAttrs = true;
    script = "export PATH=${busybox}/bin out=${placeholder "out"}\n" + attributes.script;
  });
  # Things that rows have as inputs.
  things = {
    inherit sh structured busybox graph;
    dep = sh { name = "dep"; script = "mkdir $out; echo dep > $out/file"; };
    # Refers to `dep`.
    user = sh { name = "user"; script = "echo ${things.dep} > $out"; };
    parts = sh {
      name = "parts";
      outputs = [ "out" "dev" ];
      script = "echo out > $out; echo dev > $dev";
    };
  };
  files = [
    ./environment.nix
    ./inputs.nix
    ./fixed.nix
    ./outputs.nix
    ./references.nix
    ./checks.nix
    ./lifecycle.nix
    ./failures.nix
    ./again.nix
    ./floating_outputs.nix
  ];
  rows = builtins.foldl' (rows: file: rows // import file things) { } files;
  step = row: {
    before = "";
    words = [ ];
    exits = row.exits or 0;
    says = row.says or [ ];
  };
  complete = name: row:
    let drv = row.drv or (sh ({ inherit name; inherit (row) script; } // row.attrs or { }));
    in {
      inherit (row) about;
      drv = drv.drvPath;
      outputs = builtins.listToAttrs (map (output: { name = output; value = drv.${output}.outPath; }) (drv.outputs or [ "out" ]));
      conf = row.conf or "";
      steps = map (given: step row // given) (row.steps or [ { } ]);
      look = row.look or "";
    };
in
builtins.mapAttrs complete rows
