# What the flake, its modules and its package say, as data. nixpkgs is not there: this stands in for the little of it that they
# use, which is described in its manual; a function or an attribute that they use besides is an error here.
let
  flake = import ../../flake.nix;

  program = name: version: {
    inherit name version;
    meta.mainProgram = name;
    outPath = "/nix/store/00000000000000000000000000000000-${name}-${version}";
  };

  lib = rec {
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    genAttrs = names: value: builtins.listToAttrs (map (name: { inherit name; value = value name; }) names);
    getVersion = package: package.version;
    getExe = package: "${package}/bin/${package.meta.mainProgram}";
    versionAtLeast = version: other: builtins.compareVersions version other >= 0;
    mkIf = condition: content: if condition then content else { };
    mkOption = option: option;
    mkEnableOption = _: { default = false; };
    mkPackageOption = pkgs: name: _: { default = pkgs.${name}; };
    literalExpression = text: text;
    licenses = {
      mit = "MIT";
      asl20 = "Apache-2.0";
    };
    platforms = {
      linux = [ "x86_64-linux" ];
      darwin = [ "aarch64-darwin" ];
    };
    types = {
      str = "str";
      anything = "anything";
      attrsOf = of: "attrsOf ${of}";
      listOf = of: "listOf ${of}";
    };
    fileset = {
      unions = map (path: if builtins.pathExists path then toString path else throw "${toString path} is missing");
      # Below the root, as it is somewhere else on each machine.
      toSource =
        { root, fileset }:
        map (path: builtins.substring (builtins.stringLength (toString root)) (-1) path) fileset;
    };
  };

  rustPlatform.buildRustPackage = package: package // { cargoLock = builtins.pathExists package.cargoLock.lockFile; };

  pkgs = {
    inherit lib rustPlatform;
    callPackage = path: overrides: import path ({ inherit lib rustPlatform; } // overrides);
    stdenv.hostPlatform.system = "x86_64-linux";
    busybox-sandbox-shell = program "busybox-sandbox-shell" "1.37.0";
    loopbox = program "loopbox" "0";
    formats.toml = _: {
      type = "toml";
      generate = name: value: { inherit name value; };
    };
  };

  # The options of one module, set as said, and what it makes of them.
  configure =
    module: nix: services:
    let
      evaluated = import module { inherit config lib pkgs; };
      set = name: option: services.${name} or option.default;
      config = {
        nix.package = nix;
        services.loopbox = builtins.mapAttrs set evaluated.options.services.loopbox;
      };
      unknown = removeAttrs services (builtins.attrNames evaluated.options.services.loopbox);
    in
    assert unknown == { };
    {
      inherit (evaluated) config;
      documented = builtins.all (option: option ? description || option.default == false || option.default ? meta) (
        builtins.attrValues evaluated.options.services.loopbox
      );
    };

  newNix = program "nix" "2.34.8";
  oldNix = program "nix" "2.31.2";

  outputs = flake.outputs {
    self = outputs;
    nixpkgs = {
      inherit lib;
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ] (_: pkgs);
    };
  };

  moduleOf = wrapped: {
    file = baseNameOf (toString (builtins.head wrapped.imports));
    overlay = (builtins.head wrapped.nixpkgs.overlays pkgs pkgs).loopbox.pname;
  };
in
{
  flake = {
    inputs = builtins.mapAttrs (_: input: input.url) flake.inputs;
    packages = builtins.mapAttrs (_: packages: packages.default.pname) outputs.packages;
    nixos = moduleOf outputs.nixosModules.default;
    darwin = moduleOf outputs.darwinModules.default;
  };
  package = outputs.packages.x86_64-linux.loopbox;
  nixos = {
    disabled = configure ../../packaging/nix/nixos.nix newNix { };
    enabled = configure ../../packaging/nix/nixos.nix newNix { enable = true; };
    oldNix = (configure ../../packaging/nix/nixos.nix oldNix { enable = true; }).config.assertions;
    configured = configure ../../packaging/nix/nixos.nix newNix {
      enable = true;
      systems = [
        "x86_64-linux"
        "i686-linux"
      ];
      sandboxPaths = [ "/etc/hosts?" ];
      otherBuilders = [
        {
          systems = [ "riscv64-linux" ];
          program = "/other";
          args = [ ];
        }
      ];
      policy.users = [ "alice" ];
    };
  };
  darwin = {
    disabled = configure ../../packaging/nix/darwin.nix newNix { };
    enabled = configure ../../packaging/nix/darwin.nix newNix { enable = true; };
  };
}
