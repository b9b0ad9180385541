# services.loopbox on NixOS: Nix leaves running builders to loopbox, whose daemon mounts views for the build users.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.loopbox;
  toml = pkgs.formats.toml { };
  policy = toml.generate "loopbox-daemon.toml" cfg.policy;
  nixVersion = lib.getVersion config.nix.package;
in
{
  options.services.loopbox = {
    enable = lib.mkEnableOption "loopbox, which runs the builders of Nix in views of this machine";

    package = lib.mkPackageOption pkgs "loopbox" { };

    systems = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ pkgs.stdenv.hostPlatform.system ];
      defaultText = lib.literalExpression "[ pkgs.stdenv.hostPlatform.system ]";
      description = "The systems whose derivations are built in views.";
    };

    sandboxPaths = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ "/bin/sh=${pkgs.busybox-sandbox-shell}/bin/busybox" ];
      defaultText = lib.literalExpression ''[ "/bin/sh=''${pkgs.busybox-sandbox-shell}/bin/busybox" ]'';
      description = ''
        Paths of this machine that every build is shown, in the form of Nix's `sandbox-paths`: `TARGET` or `TARGET=SOURCE`, with `?`
        behind it if it may be missing.
      '';
    };

    otherBuilders = lib.mkOption {
      type = lib.types.listOf (lib.types.attrsOf lib.types.anything);
      default = [ ];
      example = [
        {
          systems = [ "riscv64-linux" ];
          program = "/usr/local/bin/another-builder";
          args = [ ];
        }
      ];
      description = ''
        More entries of Nix's `external-builders`, after the one of loopbox. Nix takes the first that has a derivation's system.
      '';
    };

    policy = lib.mkOption {
      inherit (toml) type;
      default = { };
      example = {
        users = [ "alice" ];
        max-bytes-per-session = "50G";
      };
      description = ''
        Who may use loopbox's daemon, and how much: what {file}`/etc/loopbox/daemon.toml` says. Whoever it names may have sessions with
        his own rights. Unless `groups` is set, Nix's build users may.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lib.versionAtLeast nixVersion "2.32";
        message = ''
          services.loopbox: nix.package is Nix ${nixVersion}, and only 2.32 and later leave running builders to other programs.
        '';
      }
    ];

    environment.systemPackages = [ cfg.package ];

    nix.settings = {
      extra-experimental-features = [ "external-builders" ];
      external-builders = builtins.toJSON (
        [
          {
            inherit (cfg) systems;
            program = lib.getExe cfg.package;
            args = [ "external-builder" ] ++ cfg.sandboxPaths;
          }
        ]
        ++ cfg.otherBuilders
      );
    };

    # The client. It is a module of NixOS's kernels, and modules cannot be loaded later where those are locked.
    boot.kernelModules = [ "nfsv3" ];

    systemd.packages = [ cfg.package ];
    systemd.sockets.loopbox.wantedBy = [ "sockets.target" ];
    # The daemon reads its policy when it starts; sessions outlive it.
    systemd.services.loopbox.restartTriggers = [ policy ];

    environment.etc."loopbox/daemon.toml".source = policy;
  };
}
