//! What to do about an error: the one table from kinds of errors to hints and exit codes.

mod session;

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;

use builder::failure::BuildError;
use builder::plan::PlanError;
use builder::store::{CommandError, SettingsError, StoreError};
#[cfg(target_os = "linux")]
use builder::through_nix::ThroughNixError;
use sandbox::ServerError;
use sandbox::SessionError;
#[cfg(target_os = "linux")]
use sandbox::backend::BackendError;
#[cfg(target_os = "linux")]
use sandbox::backend::DaemonError;
use sandbox::command::{DeclarationError, RequestError};
use sandbox::host_mount::HostMountError;
use sandbox::program::{self, ProgramError, ShowError};
use sandbox::recovery::StateError;
use sandbox::report::allow_list::AllowListError;
use sandbox::view::{OpenError, SpecError};
use sandbox::{MountError, NetworkError, WorkDirError};

use crate::exit::{CANNOT_EXECUTE, NIX_ERROR, NOT_FOUND, USAGE};
use crate::failures::{RunError, UsageError};
use crate::output;

type Any = dyn Error + 'static;

/// What an error is that only passes on another one, with its words and its causes.
fn passed_on(error: &Any) -> &Any {
    #[cfg(target_os = "linux")]
    if let Some(BuildError::Daemon(error)) = error.downcast_ref() {
        return error;
    }
    match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
        #[cfg(target_os = "linux")]
        (Some(SessionError::Backend(BackendError::Daemon(error))), ..) => error,
        (Some(SessionError::Backend(error)), ..) => error,
        (Some(SessionError::Jail(error)), ..) => error,
        (_, Some(RequestError::Show(error)), _) => error,
        (_, _, Some(HostMountError::View(error))) => error,
        (_, _, Some(HostMountError::Network(error))) => error,
        (_, _, Some(HostMountError::Serve(error))) => error,
        (_, _, Some(HostMountError::Mount(error))) => error,
        (_, _, Some(HostMountError::Record(error))) => error,
        _ => error,
    }
}

/// The hints for one error, its causes not included.
pub fn of(error: &Any) -> Vec<String> {
    let error = passed_on(error);
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        return usage.hints.clone();
    }
    let hint = error
        .downcast_ref()
        .and_then(mount)
        .or_else(|| error.downcast_ref().and_then(network))
        .or_else(|| error.downcast_ref().and_then(daemon))
        .or_else(|| setup(error))
        .or_else(|| error.downcast_ref().and_then(build))
        .or_else(|| error.downcast_ref().and_then(run))
        .or_else(|| error.downcast_ref().and_then(request))
        .or_else(|| error.downcast_ref().and_then(program))
        .or_else(|| error.downcast_ref().and_then(show))
        .or_else(|| error.downcast_ref().and_then(spec))
        .or_else(|| error.downcast_ref().and_then(open))
        .or_else(|| error.downcast_ref().and_then(server))
        .or_else(|| error.downcast_ref().and_then(state))
        .or_else(|| error.downcast_ref().and_then(work_dir))
        .or_else(|| error.downcast_ref().and_then(plan))
        .or_else(|| error.downcast_ref().and_then(store))
        .or_else(|| error.downcast_ref().and_then(settings))
        .or_else(|| error.downcast_ref().and_then(through_nix));
    let hint = hint.or_else(|| session::hint(error));
    hint.into_iter().collect()
}

/// The exit code that one error stands for, if it is not loopbox's general one.
pub fn exit_code(error: &Any) -> Option<u8> {
    let error = passed_on(error);
    if error.is::<UsageError>() || error.is::<SpecError>() || error.is::<AllowListError>() {
        return Some(USAGE);
    }
    if error.downcast_ref().is_some_and(|error| !matches!(error, DeclarationError::Write { .. })) {
        return Some(USAGE);
    }
    if matches!(error.downcast_ref(), Some(StoreError::Evaluate { source: CommandError::Failed { .. }, .. }))
    {
        return Some(NIX_ERROR);
    }
    if let Some(code) = session::exit_code(error) {
        return Some(code);
    }
    match (error.downcast_ref(), error.downcast_ref()) {
        (Some(RunError::CannotStart(..)), _) => Some(CANNOT_EXECUTE),
        (_, Some(RequestError::NotInPath(_) | RequestError::NoProgram(_))) => Some(NOT_FOUND),
        _ => None,
    }
}

fn mount(error: &MountError) -> Option<String> {
    let hint = match error {
        MountError::NotRoot { .. } => AS_ROOT,
        MountError::NoClient { .. } => {
            "'modprobe nfsv3' loads the client where the kernel has it as a module; 'loopbox doctor' checks more"
        }
        MountError::NoPoint { at } => {
            return Some(format!("make the directory first: mkdir {}", output::name(at)));
        }
        MountError::Busy { at } => {
            return Some(format!(
                "'loopbox unmount {0}' if it is loopbox's; 'loopbox clean' if loopbox was killed there",
                output::name(at)
            ));
        }
        MountError::NotMounted { .. } => "'grep nfs /proc/mounts' lists what is mounted",
        MountError::InUse { at } => {
            return Some(format!("'fuser -vm {}' lists who uses a mount; end them first", output::name(at)));
        }
        MountError::Unanswered { .. } => {
            "was loopbox stopped, or did the host's disk stall? It may work if tried again"
        }
        MountError::WriteBack { .. } => "is the disk that holds the writable directories full?",
        _ => return None,
    };
    Some(hint.into())
}

#[cfg(target_os = "linux")]
fn daemon(error: &DaemonError) -> Option<String> {
    let hint = match error {
        DaemonError::Connect { .. } => {
            "root starts it: 'systemctl start loopbox.socket', or 'loopbox daemon'"
        }
        DaemonError::Refused(_) => "/etc/loopbox/daemon.toml says who may use it, and for how much",
        DaemonError::Backend => "sudo has the others, or leave --backend out",
        DaemonError::Gone => "see its log: 'journalctl -u loopbox'",
        _ => return None,
    };
    Some(hint.into())
}

fn build(error: &BuildError) -> Option<String> {
    match error {
        BuildError::OthersDirectory { path, .. } => Some(format!(
            "'cp -r {0} COPY' makes one that is; sudo can continue in {0} itself",
            output::name(path)
        )),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
fn setup(error: &Any) -> Option<String> {
    use builder::setup::files::FilesError;
    use builder::setup::prove::ProofError;
    let hint = match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
        (Some(builder::setup::SetupError::Managed { .. }), ..) => {
            "'loopbox setup' prints the lines that it has to write"
        }
        (Some(builder::setup::SetupError::Builders), ..) => {
            "'sudo loopbox build' needs no setting of Nix's; Nix 2.32 and later can do both"
        }
        (_, Some(FilesError::Changed { .. }), _) => {
            "correct it by hand, then 'loopbox setup --undo' undoes the rest"
        }
        (.., Some(ProofError::NoView(_))) => {
            "'loopbox setup' prints what is needed; Nix's daemon has to be restarted for it"
        }
        (.., Some(ProofError::NoShell)) => {
            "'extra-sandbox-paths = /bin/sh=…' in nix.conf names a static shell, such as busybox"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// It is for Linux.
#[cfg(not(target_os = "linux"))]
fn setup(_: &Any) -> Option<String> {
    None
}

/// There is none elsewhere.
#[cfg(not(target_os = "linux"))]
fn daemon(_: &std::convert::Infallible) -> Option<String> {
    None
}

fn network(error: &NetworkError) -> Option<String> {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let hint = match cause.map(std::io::Error::kind) {
        Some(ErrorKind::PermissionDenied) => {
            "mounting takes the machine's root; who is root in a user namespace alone is not"
        }
        Some(ErrorKind::NotFound) => "the process file system has to be mounted: 'mount -t proc proc /proc'",
        _ => "'sysctl user.max_net_namespaces' says how many there may be",
    };
    cfg!(target_os = "linux").then(|| hint.into())
}

fn run(error: &RunError) -> Option<String> {
    match error {
        RunError::NotRoot => Some(AS_ROOT.into()),
        #[cfg(target_os = "linux")]
        RunError::ExternalNotRoot { .. } => Some(
            "'loopbox daemon', started by root, mounts for build users; 'sudo loopbox build' has build users and needs no external builder".into(),
        ),
        RunError::NoHook(_) => Some("'loopbox setup' says what is needed; 'loopbox build' builds a derivation".into()),
        RunError::CannotStart(..) => None,
        #[cfg(not(target_os = "linux"))]
        RunError::NoCheck => Some("on Linux it can, also in a virtual machine".into()),
        #[cfg(not(target_os = "linux"))]
        RunError::NoDaemon => Some(AS_ROOT.into()),
        #[cfg(not(target_os = "linux"))]
        RunError::NoExternal => Some("'loopbox build' builds the derivation itself, inputs and all".into()),
    }
}

fn request(error: &RequestError) -> Option<String> {
    match error {
        RequestError::NotInPath(name) => Some(match program::which(Path::new(name)) {
            Ok(_) => {
                format!("'--with {0}' shows this machine's {0} with all that it needs", output::name(name))
            }
            Err(_) => "this machine has no program of that name in its PATH either".into(),
        }),
        RequestError::NoProgram(path) => {
            Some(format!("'--with {0}' or '--ro {0}' shows it, if this machine has it", output::name(path)))
        }
        RequestError::NeedsRoot(_) => {
            Some("'loopbox doctor' says why, and what it takes for a root of its own".into())
        }
        _ => None,
    }
}

fn program(error: &ProgramError) -> Option<String> {
    match error {
        ProgramError::Interpreter { interpreter, .. } => Some(format!(
            "'--with {0}' shows this machine's {0} with all that it needs",
            output::name(interpreter)
        )),
        ProgramError::Loader { program, loader } => Some(format!(
            "'--with {}' shows a program of this machine with its loader and libraries; '--ro {}' the loader alone",
            output::name(program),
            output::name(loader)
        )),
        ProgramError::Library { object, library } => Some(format!(
            "'--with {}' shows it with its libraries; '--ro DIR/{}' the library alone",
            output::name(object),
            output::name(library)
        )),
        ProgramError::NotExecutable { path } => Some(format!("chmod +x {}", output::name(path))),
        _ => None,
    }
}

fn show(error: &ShowError) -> Option<String> {
    match error {
        ShowError::Relative(path) => {
            Some(format!("write an absolute path, as in \"$PWD/{}\"", output::name(path)))
        }
        _ => None,
    }
}

fn spec(error: &SpecError) -> Option<String> {
    let hint = match error {
        SpecError::Relative { path, .. } => {
            return Some(format!("write an absolute path, as in \"$PWD/{}\"", output::name(path)));
        }
        SpecError::Overlap { .. } => "a directory that is shown as a whole cannot have others put into it",
        SpecError::Twice { .. } => "give one of the two another place: SRC:AT",
        SpecError::SharedScratch { .. } => {
            "show it writable once, and the part of it that has to be elsewhere read-only"
        }
        _ => return None,
    };
    Some(hint.into())
}

fn open(error: &OpenError) -> Option<String> {
    match error {
        OpenError::Missing { source_path, .. } => {
            Some(format!("'ls -ld {}' has to find it on this machine", output::name(source_path)))
        }
        OpenError::Case { .. } => {
            Some("a case-sensitive volume holds both: 'diskutil info' says which do".into())
        }
        _ => None,
    }
}

fn server(error: &ServerError) -> Option<String> {
    match error {
        ServerError::Peers(_) if cfg!(target_os = "macos") => Some(
            "this release of macOS is not known; 'loopbox doctor --verify' prints what a report needs".into(),
        ),
        ServerError::Peers(_) => Some("'loopbox doctor' says how to give the ports back to root".into()),
        _ => None,
    }
}

fn state(error: &StateError) -> Option<String> {
    match error {
        StateError::NotOurs { .. } | StateError::Exchangeable { .. } => {
            Some("--state-dir names another one".into())
        }
        _ => None,
    }
}

fn work_dir(error: &WorkDirError) -> Option<String> {
    match error {
        WorkDirError::Exchangeable { .. } => {
            Some("unset TMPDIR, or have it name a directory of root's, such as /tmp".into())
        }
        _ => None,
    }
}

fn plan(error: &PlanError) -> Option<String> {
    match error {
        PlanError::ImpureHostDep { path } => Some(format!(
            "allow it with 'allowed-impure-host-deps = {0}' in nix.conf, or show it with '--sandbox-paths {0}'",
            output::name(path)
        )),
        PlanError::System { .. } => {
            Some("'extra-platforms' in nix.conf lists other systems that this machine can run, 'system-features' what it has".into())
        }
        PlanError::NoChroot(_) => Some("nix-build with 'sandbox = relaxed' builds it without a sandbox".into()),
        PlanError::OnlyWithoutSandbox(_) => Some("nix-build builds it".into()),
        PlanError::UnsupportedFeature { .. } => Some("nix-build may have what it takes; loopbox builds the rest".into()),
        _ => None,
    }
}

fn store(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Command(error) => nix_program(error),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
fn through_nix(error: &ThroughNixError) -> Option<String> {
    match error {
        ThroughNixError::NotEnabled => {
            Some("'extra-experimental-features = ca-derivations' in nix.conf enables it".into())
        }
        ThroughNixError::NotLeft => {
            Some("'sudo loopbox setup' prints what is needed; 'sudo loopbox build' needs none of it".into())
        }
        ThroughNixError::TooOld { .. } => Some("nix-build builds it without loopbox".into()),
        _ => None,
    }
}

/// Only where Nix can leave running builders to loopbox.
#[cfg(not(target_os = "linux"))]
fn through_nix(_error: &std::convert::Infallible) -> Option<String> {
    None
}

fn settings(error: &SettingsError) -> Option<String> {
    match error {
        SettingsError::Command(error) => nix_program(error),
        SettingsError::Unsupported { name, .. } => {
            Some(format!("without it: NIX_CONFIG='{name} =' loopbox build …, if the build can do without"))
        }
        SettingsError::OtherStore { .. } => {
            Some("as root it needs no daemon: loopbox build --option store local …".into())
        }
        _ => None,
    }
}

fn nix_program(error: &CommandError) -> Option<String> {
    match error {
        CommandError::Missing { .. } => Some(
            "install Nix, or put the directory of its programs into PATH; 'loopbox run' needs no Nix".into(),
        ),
        _ => None,
    }
}

const AS_ROOT: &str = "run it with sudo";
