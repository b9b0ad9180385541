# loopbox from its sources, for nixpkgs: `callPackage` it.
{ lib, rustPlatform }:

let
  root = ../..;
  workspace = (lib.importTOML (root + "/Cargo.toml")).workspace.package;
  # What cargo reads (every member of the workspace), and what is installed; a change in docs/ builds nothing anew.
  sources = [
    ".cargo"
    "Cargo.toml"
    "Cargo.lock"
    "rust-toolchain.toml"
    "defences"
    "nfs-server"
    "mounter"
    "sandbox"
    "builder"
    "cli"
    "tests"
    "packaging/install.sh"
    "README.md"
    "CHANGELOG.md"
    "LICENSE-MIT"
    "LICENSE-APACHE"
  ];
in
rustPlatform.buildRustPackage {
  pname = "loopbox";
  inherit (workspace) version;

  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions (map (name: root + "/${name}") sources);
  };
  cargoLock.lockFile = root + "/Cargo.lock";

  cargoBuildFlags = [
    "--package"
    "loopbox"
  ];
  # They mount, and boot a virtual machine for it.
  doCheck = false;

  # cargo installs the program alone.
  postInstall = ''
    mv "$out/bin/loopbox" loopbox
    sh packaging/install.sh loopbox "$out"
  '';

  meta = {
    description = "A sandbox for builds that needs no bind mounts, and a view into what a build touches";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "loopbox";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
