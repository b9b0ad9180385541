# services.loopbox on nix-darwin: the program, and a job that removes what killed runs left when the Mac starts. Nix goes on
# running builders itself: it starts other programs as its build users, and on a Mac only root can mount a view and enter it.
{
  config,
  lib,
  pkgs,
  ...
}:

let
  cfg = config.services.loopbox;
in
{
  options.services.loopbox = {
    enable = lib.mkEnableOption "loopbox, which runs builds in views of this machine";

    package = lib.mkPackageOption pkgs "loopbox" { };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    # As 'loopbox doctor --launchd' prints it.
    launchd.daemons.loopbox-clean.serviceConfig = {
      ProgramArguments = [
        (lib.getExe cfg.package)
        "clean"
        "--state-dir"
        "/private/var/db/loopbox"
      ];
      EnvironmentVariables.PATH = "/nix/var/nix/profiles/default/bin:/usr/bin:/bin:/usr/sbin:/sbin";
      RunAtLoad = true;
      # The Nix store is on a volume that is mounted later.
      KeepAlive.SuccessfulExit = false;
      ThrottleInterval = 60;
      StandardErrorPath = "/var/log/loopbox.clean.log";
    };
  };
}
