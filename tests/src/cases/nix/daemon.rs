//! An ordinary user's builds: by Nix's daemon as build users, in views that loopbox's daemon makes for those.

mod builds;
mod control_groups;
mod ends;
pub mod hostile;
mod load;
pub mod runs;
mod settings;
mod setup;
mod shells;

use std::fs;
use std::io::Read;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::store::{Store, ran};
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Case, Place};

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        builds::CASES,
        control_groups::CASES,
        settings::CASES,
        setup::CASES,
        ends::CASES,
        runs::CASES,
        shells::CASES,
        hostile::CASES,
        load::CASES,
    ]
    .concat()
}

/// Somebody without any rights.
pub const ORDINARY: u32 = 30_001;

/// Where Nix's daemon listens.
const NIX_SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

/// How long a daemon may take to listen.
const START: Duration = Duration::from_secs(30);

/// How long a build may take to end when something that it needs has died.
const END: Duration = Duration::from_secs(30);

/// What Nix is set to besides: its build users.
const BUILD_USERS: &str = "build-users-group = nixbld\n";

/// Both daemons, and a store.
struct Daemons<'a> {
    place: &'a Place,
    store: Store,
    loopbox: Option<Running>,
    nix: Option<Running>,
    /// The ordinary user's.
    home: PathBuf,
}

/// A process that is killed in the end.
pub struct Running(Child);

impl Running {
    /// Starts it, and waits until it listens.
    pub fn start(command: &mut Command, socket: &Path) -> Running {
        let mut running = Running(command.spawn().expect("the daemon can be started"));
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            std::thread::sleep(Duration::from_millis(10));
            assert_eq!(running.0.try_wait().expect("it can be waited for"), None, "the daemon runs");
            assert!(began.elapsed() < START, "the daemon listens");
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let attendants = traces::named(traces::ATTENDANT);
        let _ = self.0.kill();
        let _ = self.0.wait();
        // They end by themselves, and have files of the case's open until then.
        let began = Instant::now();
        while attendants.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists())
            && began.elapsed() < END
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl<'a> Daemons<'a> {
    /// With Nix's build users.
    fn start(place: &'a Place) -> Daemons<'a> {
        Daemons::start_with(place, BUILD_USERS)
    }

    /// With these settings of Nix's.
    fn start_with(place: &'a Place, settings: &str) -> Daemons<'a> {
        let store = Store::of_new_nix(place, &format!("{}{settings}", left_to_loopbox(place)));
        let home = place.directory("home");
        chown(&home, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
        let mut daemons = Daemons { place, store, loopbox: None, nix: None, home };
        daemons.start_loopbox();
        daemons.start_nix();
        daemons
    }

    fn start_loopbox(&mut self) {
        self.loopbox = Some(start_loopbox(self.place));
    }

    fn start_nix(&mut self) {
        let mut command = self.store.command("nix-daemon", [""; 0]);
        command.stdout(Stdio::null()).stderr(log(self.place, "nix"));
        self.nix = Some(Running::start(&mut command, Path::new(NIX_SOCKET)));
    }

    /// What both have said.
    fn logs(&self) -> String {
        ["loopbox", "nix"]
            .map(|name| fs::read_to_string(self.place.path(format!("{name}.log"))).unwrap_or_default())
            .concat()
    }

    /// A program of Nix's, run by an ordinary user.
    fn nix(&self, program: &str, words: &[&str]) -> Command {
        let user = format!("{ORDINARY}:{ORDINARY}");
        let before = ["--userspec", &user, "/", program];
        let mut command = self.store.command("chroot", before.iter().chain(words));
        command.env("HOME", &self.home).env("TMPDIR", "/tmp").env("NIX_REMOTE", "daemon");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `nix-store --realise` by an ordinary user, through Nix's daemon.
    fn build(&self, derivations: &[&str]) -> Command {
        self.nix("nix-store", &[&["--realise"], derivations].concat())
    }

    /// What it has built.
    fn built(&self, derivations: &[&str]) -> String {
        let built = ran(&mut self.build(derivations));
        assert_eq!(built.status, 0, "{}\n{}", built.stderr, self.logs());
        built.stdout
    }

    /// Starts a build, and waits until its builder's command line begins so; the builder's process.
    fn begin(&self, derivation: &str, builder: &str) -> (Child, u32) {
        let mut build = self.build(&[derivation]).spawn().expect("Nix can be started");
        let ended = || build.try_wait().is_ok_and(|status| status.is_some());
        match traces::wait_for(&traces::build_users(), builder, ended) {
            Some(process) => (build, process),
            None => {
                panic!("{:?}\n{}", Ran::from(build.wait_with_output().expect("it has ended")), self.logs())
            }
        }
    }

    /// Nothing that a build leaves behind is there, soon.
    fn assert_nothing_left(&self) {
        let until = Instant::now() + END;
        let users = traces::build_users();
        loop {
            let left = self.left(&users);
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < until, "{left:#?}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
        traces::assert_not_mounted();
    }

    fn left(&self, users: &[u32]) -> Vec<String> {
        let in_store =
            traces::names(Path::new("/nix/store")).into_iter().filter(|name| name.ends_with(".chroot"));
        let builds = traces::names(Path::new("/nix/var/nix/builds"))
            .into_iter()
            .filter(|name| !name.ends_with(".lock"));
        let sessions = traces::names(&self.place.path("state"));
        let process = traces::find(users, "").map(|process| format!("a build user's process {process}"));
        in_store.chain(builds).chain(sessions).chain(process).collect()
    }
}

/// A shell's script in a session of a user whom loopbox's daemon has a view for, once it has said this.
fn begin(lent: &runs::Lent<'_>, script: &str, first: &str) -> Child {
    let mut command = lent.run(&["--with", "/bin/busybox", "--", "/bin/busybox", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("loopbox can be started");
    let mut said = vec![0; first.len()];
    let stdout = child.stdout.as_mut().expect("it is a pipe");
    stdout.read_exact(&mut said).expect("it runs in its view");
    assert_eq!(String::from_utf8_lossy(&said), first);
    child
}

/// loopbox's daemon, with the case's own socket, policy and log.
fn start_loopbox(place: &Place) -> Running {
    start_as(place, &Loopbox::at(place))
}

/// The same as another loopbox.
fn start_as(place: &Place, loopbox: &Loopbox) -> Running {
    let (socket, policy) = (socket(place), place.path("daemon.toml"));
    let mut command = loopbox.command(["--socket".as_ref(), socket.as_os_str(), "daemon".as_ref()]);
    command.arg("--policy").arg(policy);
    let mut command = control_groups::as_a_service(&command);
    command.env("LOOPBOX_LOG", "info").stderr(log(place, "loopbox"));
    Running::start(&mut command, &socket)
}

fn log(place: &Place, name: &str) -> fs::File {
    let log = place.path(format!("{name}.log"));
    fs::File::options().create(true).append(true).open(log).expect("a log")
}

fn socket(place: &Place) -> PathBuf {
    place.path("loopbox.socket")
}

/// The setting by which builds are left to loopbox.
fn left_to_loopbox(place: &Place) -> String {
    let words = serde_json::json!(["--socket", socket(place), "external-builder"]);
    let builders = serde_json::json!([{ "systems": ["x86_64-linux"], "program": Loopbox::for_everybody(), "args": words }]);
    format!("substituters =\nexternal-builders = {builders}\n")
}

fn signal(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.cast_signed()), signal).expect("it runs");
}
