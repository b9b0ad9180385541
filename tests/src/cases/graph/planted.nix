# The demonstration's graph, each derivation of which names one more input, that none of them uses.
{ graph }:
let
  planted = builtins.toFile "planted" "Nobody reads this.";
  scope = {
    import = builtins.scopedImport scope;
    derivation = attributes: builtins.derivation (attributes // { inherit planted; });
  };
in
builtins.scopedImport scope (graph + "/graph.nix") { }
