# Structured attributes and an exported graph, read with the jq that was built before; two outputs.
{ sh, busybox, jq, app, ... }:
sh {
  name = "report";
  __structuredAttrs = true;
  outputs = [ "out" "list" ];
  exportReferencesGraph.closure = [ app jq ];
  greeting = { words = [ "one" "two three" ]; flag = true; };
  script = ''
    export PATH=${busybox}/bin
    # Not $NIX_ATTRS_JSON_FILE: Nix 2.8 puts the file's path outside of the sandbox there.
    attribute() { ${jq}/bin/jq -r "$1" < $NIX_BUILD_TOP/.attrs.json; }
    test "$(attribute '.greeting.words[1]')" = "two three"
    test "$(attribute .greeting.flag)" = true
    out=$(attribute .outputs.out)
    list=$(attribute .outputs.list)
    mkdir $out
    attribute '.closure | map(.path) | sort | .[]' > $list
    attribute '.closure | length' > $out/count
    grep -q ${app} $list
    grep -q ${jq} $list
    ln -s $list $out/list
  '';
}
