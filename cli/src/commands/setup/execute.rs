//! What `loopbox setup` does.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::setup::files::{self, File};
use builder::setup::{Route, SOCKET_UNIT, SetupError, SetupPaths, nix_lines, plan, prove};
use builder::store::{Settings, Store};

use super::Arguments;
use crate::commands::need_root;
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::globals::Globals;
use crate::slow::say_if_slow;
use crate::{itself, output};

/// Where it stands what was written.
const RECORD: &str = "/etc/loopbox/setup.json";

/// There where systemd runs (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";

/// Its units of the machine's own.
const UNITS: &str = "/etc/systemd/system";

/// Those of packages: by install.sh, and by Debian's.
const UNITS_OF_PACKAGES: [&str; 2] = ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];

/// Nix's daemon, which reads its configuration when it starts.
const NIX_DAEMON: [&str; 3] = ["systemctl", "try-restart", "nix-daemon.service"];

/// What is run once the files are there, and once they are gone.
const START: [&[&str]; 3] =
    [&["systemctl", "daemon-reload"], &["systemctl", "enable", "--now", SOCKET_UNIT], &NIX_DAEMON];
const START_HOOK: [&[&str]; 1] = [&NIX_DAEMON];
const STOPPED: [&[&str]; 2] = [&["systemctl", "daemon-reload"], &NIX_DAEMON];

/// What has to be done by hand where there is no systemd.
const BY_HAND_HOOK: &str = "Restart Nix's daemon, and run 'loopbox setup --verify'.";
const BY_HAND: &str = "Start 'loopbox daemon' as root at every start of the machine, restart Nix's daemon, and run 'loopbox setup --verify'.";

/// A service could not be started or stopped.
#[derive(Debug, thiserror::Error)]
enum ServiceError {
    #[error("cannot run '{0}'")]
    Run(String, #[source] io::Error),
    #[error("'{0}' failed")]
    Failed(String),
}

/// Prints, writes, takes back or tries.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let booted = Path::new(BOOTED).is_dir();
    if arguments.undo {
        need_root()?;
        return undo(booted, &places(booted, globals)?);
    }
    let store = Store::from_environment();
    let settings = store.settings()?;
    if arguments.verify {
        return verify(&settings);
    }
    let places = places(booted, globals)?;
    let files = match plan(&places, &settings) {
        Err(SetupError::Managed { path }) if !arguments.write => {
            let lines = nix_lines(&places, &settings);
            output::print(format!("# {path:?} is written by another program, which has to write:\n{lines}"))?;
            return Ok(Status::Done);
        }
        files => files?,
    };
    let route = Route::of(&settings);
    if !arguments.write {
        return print(&files, booted, route);
    }
    need_root()?;
    if files::are_written(&files) {
        output::tell("Everything is set up already; nothing was written.");
    } else {
        let enables = booted && route == Route::ExternalBuilders && !is_enabled(SOCKET_UNIT)?;
        let enabled: &[&str] = if enables { &[SOCKET_UNIT] } else { &[] };
        files::write(&files, enabled, RECORD.as_ref())?;
        files.iter().for_each(|file| output::tell(format!("wrote {}", output::name(&file.path))));
    }
    let (start, by_hand) = steps(route);
    if !booted && !listens(globals) {
        output::tell(by_hand);
        return Ok(Status::Done);
    }
    if booted {
        run_all(start)?;
    }
    // As Nix is set now.
    verify(&store.settings()?)
}

/// What is run where there is systemd, and what is said where there is none.
fn steps(route: Route) -> (&'static [&'static [&'static str]], &'static str) {
    match route {
        Route::ExternalBuilders => (&START, BY_HAND),
        Route::BuildHook => (&START_HOOK, BY_HAND_HOOK),
    }
}

fn listens(globals: &Globals) -> bool {
    std::os::unix::net::UnixStream::connect(&globals.socket).is_ok()
}

fn places(booted: bool, globals: &Globals) -> io::Result<SetupPaths> {
    let root = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(0))?;
    let home = root.map_or_else(|| "/root".into(), |root| root.dir);
    Ok(SetupPaths {
        loopbox: itself::path()?,
        socket: globals.socket.clone(),
        nix: std::env::var_os("NIX_CONF_DIR").map_or_else(|| "/etc/nix".into(), PathBuf::from),
        nix_conf_of_root: home.join(".config/nix/nix.conf"),
        units: booted.then(|| UNITS.into()),
        units_of_packages: UNITS_OF_PACKAGES.map(PathBuf::from).into(),
        policy: sandbox::daemon::POLICY.into(),
    })
}

fn print(files: &[File], booted: bool, route: Route) -> CommandResult {
    let (start, by_hand) = steps(route);
    let mut text = String::new();
    for File { path, contents, .. } in files {
        text += &format!("# {}\n{contents}\n", output::name(path));
    }
    if booted {
        let lines = start.iter().map(|words| words.join(" "));
        text += &format!("# Then:\n{}\n", lines.collect::<Vec<_>>().join("\n"));
    } else {
        text += &format!("# Then: {by_hand}\n");
    }
    output::print(text)?;
    Ok(Status::Done)
}

fn undo(booted: bool, places: &SetupPaths) -> CommandResult {
    if booted {
        // Others were enabled by somebody else, who may need them still.
        for unit in files::enabled(RECORD.as_ref())?.iter().filter(|unit| places.has_unit(unit)) {
            run_all(&[&["systemctl", "disable", "--now", unit]])?;
        }
    }
    for path in files::undo(RECORD.as_ref())? {
        output::tell(format!(
            "{} has changed since; the line for loopbox is taken out.",
            output::name(&path)
        ));
    }
    if booted {
        run_all(&STOPPED)?;
    }
    output::tell("What was written is undone.");
    if !booted {
        output::tell("Restart Nix's daemon, and stop 'loopbox daemon'.");
    }
    Ok(Status::Done)
}

fn verify(settings: &Settings) -> CommandResult {
    let path = say_if_slow("having Nix build a test derivation", || prove::prove(settings))?;
    output::tell(format!("good: Nix has built {path} in a view."));
    Ok(Status::Done)
}

/// Whether systemd starts this unit with the machine.
fn is_enabled(unit: &str) -> Result<bool, ServiceError> {
    succeeds(&["systemctl", "is-enabled", "--quiet", unit])
}

fn run_all(commands: &[&[&str]]) -> Result<(), CommandError> {
    for words in commands {
        if !succeeds(words)? {
            return Err(ServiceError::Failed(words.join(" ")).into());
        }
    }
    Ok(())
}

fn succeeds(words: &[&str]) -> Result<bool, ServiceError> {
    let (program, arguments) = words.split_first().unwrap_or((&"true", &[]));
    let status = Command::new(program).args(arguments).status();
    Ok(status.map_err(|source| ServiceError::Run(words.join(" "), source))?.success())
}
