# Derivations whose outputs get their paths from their contents, and one that needs them. Given to the builders as a
# Nix file: the table itself is read without the feature.
{ sh, status ? 0 }:
let
  floating = attributes: sh (attributes // {
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  });
  text = floating { name = "ca-text"; script = "echo a text > $out"; };
  # Refers to itself, to its other output and to its input, none of whose paths is known before.
  both = floating {
    name = "ca-both";
    outputs = [ "out" "dev" ];
    script = "mkdir $out $dev; echo $out $dev > $out/self; cat ${text} > $dev/text; ln -s ${text} $dev/link";
  };
in
{
  user = sh {
    name = "ca-user";
    script = "cat ${both}/self ${both.dev}/text > $out; ls /nix/store | grep -c -- -ca- >> $out; test ! -e $TMPDIR/x";
  };
  same = floating { name = "ca-text"; script = ": otherwise made; echo a text > $out"; };
  failing = floating { name = "ca-failing"; script = "echo x > $out; exit ${toString status}"; };
}
