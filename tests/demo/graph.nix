# The demonstration's graph: real C software, from sources and a toolchain that are in the store already.
# `inputs.json` (made by `cargo xtask`) names the store paths of busybox, zig, musl and the sources.
{ inputs ? builtins.fromJSON (builtins.readFile ./inputs.json), salt ? "" }:
let
  paths = builtins.mapAttrs (_: builtins.storePath) inputs;
  sh = import ./sh.nix { inherit (paths) busybox; inherit salt; };
  call = file: import file (paths // packages // { inherit sh; });
  packages = {
    cc = call ./packages/cc.nix;
    make = call ./packages/make.nix;
    corpus = call ./packages/corpus.nix;
    zlib = call ./packages/zlib.nix;
    bzip2 = call ./packages/bzip2.nix;
    zstd = call ./packages/zstd.nix;
    libpng = call ./packages/libpng.nix;
    lua = call ./packages/lua.nix;
    sqlite = call ./packages/sqlite.nix;
    oniguruma = call ./packages/oniguruma.nix;
    jq = call ./packages/jq.nix;
    app = call ./packages/app.nix;
    report = call ./packages/report.nix;
  };
in
packages
