{
  description = "A sandbox for builds that needs no bind mounts, and a view into what a build touches";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      # The modules take the package of this flake, built with the machine's own nixpkgs.
      withPackage = module: {
        imports = [ module ];
        nixpkgs.overlays = [ self.overlays.default ];
      };
    in
    {
      overlays.default = final: _: { loopbox = final.callPackage ./packaging/nix/package.nix { }; };

      packages = nixpkgs.lib.genAttrs systems (system: rec {
        loopbox = nixpkgs.legacyPackages.${system}.callPackage ./packaging/nix/package.nix { };
        default = loopbox;
      });

      nixosModules.default = withPackage ./packaging/nix/nixos.nix;
      darwinModules.default = withPackage ./packaging/nix/darwin.nix;
    };
}
