# The probe in each kind of build that shows it something else. The arguments are store paths.
{ probe, tree, file, link, output }:
let
  path = builtins.storePath;
  build = attributes: derivation ({
    system = "x86_64-linux";
    builder = "${path probe}/bin/probe";
    args = [ (placeholder "out") (path tree) (path file) (builtins.appendContext link { ${link}.path = true; }) ];
  } // attributes);
in
{
  plain = build {
    name = "plain";
    empty = "";
    text = "two\nlines, a tab\t, \\ and ''";
    list = [ "a" 1 true false null ];
    # What Nix sets, set by the derivation.
    HOME = "/somewhere";
    NIX_BUILD_CORES = "77";
    TERM = "dumb";
    TMPDIR = "/elsewhere";
    NIX_LOG_FD = "7";
    impureEnvVars = [ "PROBE_IMPURE" ];
    requiredSystemFeatures = [ "kvm" ];
  };
  fixed = build {
    name = "fixed";
    impureEnvVars = [ "PROBE_IMPURE" "PROBE_UNSET" "HOME" ];
    outputHashAlgo = "sha256";
    outputHashMode = "flat";
    outputHash = output;
  };
  structured = build {
    name = "structured";
    __structuredAttrs = true;
    number = 1;
    flag = true;
    list = [ "a" "b c" ];
    set = { "a b" = "c"; };
    exportReferencesGraph.graph = [ (path tree) ];
  };
  files = build {
    name = "files";
    passAsFile = [ "large" ];
    large = "a large text\n";
    exportReferencesGraph = [ "graph" (path tree) ];
  };
}
