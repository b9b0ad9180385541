//! `loopbox run` by somebody who is not root: he is shown what he may see himself.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{END, ORDINARY, Running, socket, start_as, start_loopbox};
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::nix::store::ran;
use crate::cases::program::status::sessions_until;
use crate::cases::pty::Pty;
use crate::cases::{Place, cases};

cases![
    a_user_runs_a_command,
    a_user_writes_what_is_his,
    a_users_scratch_is_the_machines_own,
    what_only_he_has_mounted_is_served,
    what_a_user_may_not_read_he_is_not_shown,
    a_name_that_changes_shows_nothing_more,
    a_user_is_nobody_else,
    a_user_writes_no_more_than_the_policy_lets_a_session_write,
    a_user_has_faults_in_his_own_session,
    a_users_command_has_a_terminal_of_its_own,
    a_daemon_takes_the_socket_that_it_is_given,
    root_sees_what_lives_whichever_daemon_began_it,
    without_a_daemon_it_takes_root,
];

/// What nobody but root reads.
const SECRET: &str = "the secret";

/// loopbox's daemon alone, and a user who may use it.
pub struct Lent<'a> {
    place: &'a Place,
    pub(super) daemon: Running,
    /// A directory of the user's.
    pub home: PathBuf,
}

impl<'a> Lent<'a> {
    pub fn start(place: &'a Place) -> Lent<'a> {
        Lent::start_with(place, "")
    }

    /// With these further lines of the policy.
    pub fn start_with(place: &'a Place, policy: &str) -> Lent<'a> {
        Lent::start_as(place, &Loopbox::at(place), policy)
    }

    /// The same as another loopbox.
    pub fn start_as(place: &'a Place, loopbox: &Loopbox, policy: &str) -> Lent<'a> {
        place.file("daemon.toml", format!("users = ['{ORDINARY}']\n{policy}"));
        let home = place.directory("home");
        chown(&home, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
        Lent { place, daemon: start_as(place, loopbox), home }
    }

    /// `loopbox run` by the user, with these words.
    pub fn run(&self, words: &[&str]) -> Command {
        self.command(&[&["run"], words].concat())
    }

    /// `loopbox` by the user.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(Loopbox::for_everybody());
        command.arg("--socket").arg(socket(self.place)).args(words);
        command.env_remove("LOOPBOX_STATE_DIR").env("TMPDIR", &self.home).env("HOME", &self.home);
        command.uid(ORDINARY).gid(ORDINARY).current_dir(&self.home).stdin(Stdio::null());
        command
    }

    fn ran(&self, words: &[&str]) -> Ran {
        ran(&mut self.run(words))
    }

    fn text(&self, path: &Path) -> String {
        path.to_str().expect("the case's paths are text").to_owned()
    }

    /// Nothing is left of what he ran, soon: an attendant may end after him.
    pub fn assert_nothing_left(&self) {
        let began = Instant::now();
        while !self.place.names("state").is_empty() {
            assert!(began.elapsed() < END, "{:?}", self.place.names("state"));
            std::thread::sleep(Duration::from_millis(20));
        }
        let own = self.place.names("home").into_iter().filter(|name| name.starts_with("loopbox-"));
        let own: Vec<String> = own.flat_map(|name| self.place.names(format!("home/{name}"))).collect();
        assert_eq!(own, [""; 0]);
        crate::cases::clean::traces::assert_not_mounted();
    }
}

fn a_user_runs_a_command(place: &Place) {
    let lent = Lent::start(place);
    let with = ["--with", "/bin/busybox", "--"];
    let run = |script: &str| lent.ran(&[&with[..], &["/bin/busybox", "sh", "-c", script]].concat());
    let who = run("id -u; id -g; exit 7");
    assert_eq!((who.status, who.stdout.as_str()), (7, "30001\n30001"), "{}", who.stderr);
    let outside = run("ls -d /home /root /usr/share");
    assert_eq!(outside.stdout, "", "{outside:?}");
    assert_eq!(run("kill -9 $$").status, 128 + 9);
    let doctor = ran(&mut lent.command(&["doctor"]));
    assert!(
        doctor.stdout.contains("good     root: loopbox runs as user 30001, and its daemon listens"),
        "{doctor:?}"
    );
    let missing = lent.ran(&["--with", "/bin/busybox", "--", "/bin/missing"]);
    assert_eq!(missing.status, 127, "{}", missing.stderr);
    lent.assert_nothing_left();
}

fn a_user_writes_what_is_his(place: &Place) {
    let lent = Lent::start(place);
    let (his, roots) = (lent.home.join("his"), place.directory("roots"));
    fs::create_dir(&his).expect("a directory");
    chown(&his, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
    let (his_words, roots_words) = (format!("{}:/his", his.display()), format!("{}:/roots", roots.display()));
    let script = "echo his > /his/new; chmod 4755 /his/new; echo roots > /roots/new; echo $?";
    let words = ["--with", "/bin/busybox", "--rw", &his_words, "--rw", &roots_words];
    let wrote = lent.ran(&[&words[..], &["--", "/bin/busybox", "sh", "-c", script]].concat());
    assert_eq!((wrote.status, wrote.stdout.as_str()), (0, "1"), "{}", wrote.stderr);
    let new = his.join("new").metadata().expect("it was made");
    assert_eq!((new.uid(), new.gid(), new.mode() & 0o7777), (ORDINARY, ORDINARY, 0o644));
    assert_eq!(place.names("roots"), [""; 0]);
    lent.assert_nothing_left();
}

/// What kind of file system /tmp is on, for a command of his.
const TMP: [&str; 8] = ["--with", "/bin/busybox", "--", "/bin/busybox", "stat", "-f", "-c", "%T"];

fn a_users_scratch_is_the_machines_own(place: &Place) {
    let lent = Lent::start(place);
    let script = "echo x > /tmp/file; stat -c '%u %g' /tmp/file; grep -c ' /tmp ' /proc/self/mounts";
    let ran = lent.ran(&["--with", "/bin/busybox", "--", "/bin/busybox", "sh", "-c", script]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "30001 30001\n1"), "{}", ran.stderr);
    assert_ne!(lent.ran(&[&TMP[..], &["/tmp"]].concat()).stdout, "nfs");
    let served = lent.ran(&[&["--scratch", "nfs"], &TMP[..], &["/tmp"]].concat());
    assert_eq!((served.status, served.stdout.as_str()), (0, "nfs"), "{}", served.stderr);
    lent.assert_nothing_left();
}

/// The directory that he means is another than the one that the machine has by this name.
fn what_only_he_has_mounted_is_served(place: &Place) {
    let lent = Lent::start(place);
    let home = lent.text(&lent.home);
    let own = format!(
        "mount -t tmpfs -o mode=777 tmpfs {home} && exec chroot --userspec={ORDINARY}:{ORDINARY} / \"$@\""
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &own, "sh"]).arg(Loopbox::for_everybody()).arg("--socket");
    command.arg(socket(place)).arg("run").args(TMP).arg("/tmp");
    command.env_remove("LOOPBOX_STATE_DIR").env("TMPDIR", &home).env("HOME", &home).stdin(Stdio::null());
    let ran = ran(&mut command);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "nfs"), "{}", ran.stderr);
    lent.assert_nothing_left();
}

fn what_a_user_may_not_read_he_is_not_shown(place: &Place) {
    let lent = Lent::start(place);
    let shown = place.directory("shown");
    let closed = place.directory("closed");
    let secrets = [shown.join("secret"), closed.join("open"), shown.join("listed")];
    for secret in &secrets {
        fs::write(secret, SECRET).expect("a file");
    }
    fs::set_permissions(&secrets[0], Permissions::from_mode(0o600)).expect("root's");
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("root's");
    // An access control list takes from him what the mode gives.
    forbid(&secrets[2]);
    let link = lent.home.join("link");
    symlink(&closed, &link).expect("a link");
    let through = link.join("open");
    for (source, what) in [
        (&secrets[0], "secret"),
        (&secrets[1], "open"),
        (&secrets[2], "listed"),
        (&closed, "open"),
        (&through, "open"),
    ] {
        let given = format!("{}:/it", lent.text(source));
        let script = format!("cat /it /it/{what}; ls -R /it; true");
        let words = ["--with", "/bin/busybox", "--ro", &given, "--", "/bin/busybox", "sh", "-c", &script];
        let seen = lent.ran(&words);
        assert!(!seen.stdout.contains(SECRET), "{source:?}: {}", seen.stdout);
        assert!(!seen.stdout.contains("open\n"), "{source:?}: {}", seen.stdout);
        assert!(seen.status != 0 || seen.stderr.contains("ermission denied"), "{source:?}: {seen:?}");
    }
    // Through the directory around it, he sees that it is there, as he would without loopbox.
    let given = format!("{}:/it", lent.text(&shown));
    let words = ["--with", "/bin/busybox", "--ro", &given, "--", "/bin/busybox", "sh", "-c"];
    let seen = lent.ran(&[&words[..], &["ls /it; cat /it/secret /it/listed"]].concat());
    assert_eq!(seen.stdout, "listed\nsecret");
    assert_eq!(seen.stderr.matches("ermission denied").count(), 2, "{}", seen.stderr);
    lent.assert_nothing_left();
}

/// Gives a file an access control list that names the user, and gives him nothing (acl(5), in the kernel's form: `uapi/linux/posix_acl_xattr.h`).
fn forbid(file: &Path) {
    const NOBODY: u32 = u32::MAX;
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, NOBODY), (2, 0, ORDINARY), (4, 4, NOBODY), (0x10, 4, NOBODY), (0x20, 4, NOBODY)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(file, "system.posix_acl_access", &list, flags)
        .expect("the case's file system has lists");
}

/// A name of the user's is a link to where he may not look in one moment, and his own directory in the next.
fn a_name_that_changes_shows_nothing_more(place: &Place) {
    let lent = Lent::start(place);
    let closed = place.directory("closed");
    fs::write(closed.join("file"), SECRET).expect("a file");
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("root's");
    let (own, name, other) = (lent.home.join("own"), lent.home.join("name"), lent.home.join("other"));
    fs::create_dir(&own).expect("a directory");
    fs::write(own.join("file"), "his").expect("a file");
    chown(&own, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
    let over = AtomicBool::new(false);
    let given = format!("{}/file:/it", lent.text(&name));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for target in [&own, &closed] {
                    let _ = fs::remove_file(&other);
                    symlink(target, &other).expect("a link");
                    fs::rename(&other, &name).expect("it takes the other's place");
                }
            }
        });
        let mut shown = 0;
        for _ in 0..40 {
            let seen =
                lent.ran(&["--with", "/bin/busybox", "--ro", &given, "--", "/bin/busybox", "cat", "/it"]);
            assert!(!seen.stdout.contains(SECRET), "{}", seen.stdout);
            shown += usize::from(seen.stdout == "his");
        }
        over.store(true, Ordering::Relaxed);
        assert!(shown > 0, "his own is shown");
    });
    lent.assert_nothing_left();
}

fn a_user_is_nobody_else(place: &Place) {
    let lent = Lent::start(place);
    for words in [&["--uid", "0"][..], &["--uid", "1"], &["--gid", "0"]] {
        let ran = lent.ran(&[words, &["--with", "/bin/busybox", "--", "/bin/busybox", "id"]].concat());
        assert_eq!(ran.status, 125, "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("who asks"), "{words:?}: {}", ran.stderr);
    }
    lent.assert_nothing_left();
}

/// As a service manager starts it (`sd_listen_fds(3)`), which listens itself: it connects first, and is served then.
fn a_users_command_has_a_terminal_of_its_own(place: &Place) {
    let lent = Lent::start(place);
    let programs = ["--with", "bash", "--with", "sleep", "--with", "tty"];
    let run = lent.run(&[&programs[..], &["--", "bash", "--norc", "--noprofile", "-i"]].concat());
    // A terminal's command is started by another program, which knows of the user by words alone.
    let id = ORDINARY.to_string();
    let mut user = Command::new("setpriv");
    user.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(run.get_program()).args(run.get_args());
    user.env_remove("LOOPBOX_STATE_DIR").env("TMPDIR", &lent.home).env("TERM", "xterm");
    let mut pty = Pty::start(&user);
    pty.press("echo by-$((40+2)) > /dev/tty\n");
    pty.until("by-42");
    pty.press("tty\n");
    pty.until("/dev/console");
    pty.press("bash -c 'echo sleeping-$((40+2)); exec sleep 1000'\n");
    pty.until("sleeping-42");
    pty.press("\u{1a}");
    pty.until("Stopped");
    pty.press("echo alive-$UID-$((40+2))\n");
    pty.until(&format!("alive-{ORDINARY}-42"));
    // A shell with a job that has stopped does not exit when it is first told to.
    pty.press("exec bash -c 'exit 5'\n");
    let (status, shown) = pty.end();
    assert_eq!(status.code(), Some(5), "{shown}");
}

fn a_daemon_takes_the_socket_that_it_is_given(place: &Place) {
    let lent = Lent::start(place);
    let Lent { mut daemon, home, .. } = lent;
    daemon.0.kill().expect("it runs");
    daemon.0.wait().expect("it ends");
    fs::remove_file(socket(place)).expect("a killed daemon has left it");
    let listener = std::os::unix::net::UnixListener::bind(socket(place)).expect("the place is free");
    fs::set_permissions(socket(place), Permissions::from_mode(0o666)).expect("it is root's");
    let waiting = Lent { place, daemon, home };
    let words = ["--with", "/bin/busybox", "--", "/bin/busybox", "echo", "served"];
    let first = waiting.run(&words).stdout(Stdio::piped()).spawn().expect("loopbox can be started");
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 < /dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(Loopbox::program()).args(["daemon", "--policy"]);
    command.arg(place.path("daemon.toml")).env("LOOPBOX_STATE_DIR", place.path("state"));
    let log = fs::File::create(place.path("given.log")).expect("a log");
    command.stdin(std::os::fd::OwnedFd::from(listener)).stderr(log);
    let given = Running(command.spawn().expect("loopbox can be started"));
    let first: Ran = first.wait_with_output().expect("it ends").into();
    assert_eq!((first.status, first.stdout.as_str()), (0, "served"), "{first:?}");
    let second = waiting.ran(&words);
    assert_eq!((second.status, second.stdout.as_str()), (0, "served"), "{second:?}");
    drop(given);
    assert!(socket(place).exists(), "whoever made the socket removes it");
    waiting.assert_nothing_left();
}

fn without_a_daemon_it_takes_root(place: &Place) {
    let lent = Lent::start(place);
    let mut command = lent.run(&["--with", "/bin/busybox", "--", "/bin/busybox", "true"]);
    drop(lent);
    let refused = ran(&mut command);
    assert_eq!(refused.status, 125, "{refused:?}");
    assert!(refused.stderr.contains("cannot connect to loopbox's daemon"), "{}", refused.stderr);
    fs::remove_file(socket(place)).expect("a killed daemon has left it");
    let refused = ran(&mut command);
    assert_eq!(refused.status, 125, "{refused:?}");
    assert!(refused.stderr.contains("this needs root"), "{}", refused.stderr);
}

fn root_sees_what_lives_whichever_daemon_began_it(place: &Place) {
    let mut lent = Lent::start(place);
    let mut run = lent.run(&["--with", "/bin/busybox", "--", "/bin/busybox", "sleep", "1000"]);
    let mut run = run.spawn().expect("it can be started");
    lent.daemon = start_loopbox_again(lent.daemon, place);
    let loopbox = Loopbox::at(place);
    let runs = |sessions: &[serde_json::Value]| {
        sessions.iter().any(|session| session["served"]["program"].is_string())
    };
    let [session] = &sessions_until(&loopbox, runs)[..] else { panic!("one session") };
    assert_ne!(session["pid"], run.id(), "it is the attendant's");
    assert_eq!(session["served"]["uid"], ORDINARY);
    let refused = ran(&mut lent.command(&["status"]));
    assert!(refused.status == 125 && refused.stderr.contains("this needs root"), "{refused:?}");
    super::signal(run.id(), nix::sys::signal::Signal::SIGTERM);
    run.wait().expect("it ends");
    lent.assert_nothing_left();
}

/// Kills the daemon, not what it has begun, and starts another.
fn start_loopbox_again(mut daemon: Running, place: &Place) -> Running {
    std::thread::sleep(Duration::from_millis(500));
    daemon.0.kill().expect("it runs");
    daemon.0.wait().expect("it ends");
    std::mem::forget(daemon);
    start_loopbox(place)
}

fn a_user_writes_no_more_than_the_policy_lets_a_session_write(place: &Place) {
    let lent = Lent::start_with(place, "max-bytes-per-session = '1M'\n");
    let work = lent.home.join("work");
    fs::create_dir(&work).and_then(|()| chown(&work, Some(ORDINARY), Some(ORDINARY))).expect("it is his");
    let file = work.join("file");
    let work = format!("{}:/work", lent.text(&work));
    let words = ["--with", "dd", "--rw", &work];
    let write = ["--", "dd", "if=/dev/zero", "of=/work/file", "bs=1M", "count=2", "conv=fsync"];
    let policy = "max-bytes-per-session in /etc/loopbox/daemon.toml raises the limit.";
    for (asked, size, raises) in [
        (&[][..], 1 << 20, policy),
        (&["--max-bytes", "1G"], 1 << 20, policy),
        (&["--max-bytes", "512K"], 512 << 10, "--max-bytes raises the limit."),
    ] {
        let written = lent.ran(&[&words, asked, &write].concat());
        assert_eq!(fs::metadata(&file).map_or(0, |it| it.len()), size, "{}", written.told());
        assert!(written.stderr.contains("No space left on device"), "{}", written.stderr);
        assert!(written.stderr.contains(raises), "{}", written.stderr);
        fs::remove_file(&file).expect("it can be removed");
    }
    lent.assert_nothing_left();
}

fn a_user_has_faults_in_his_own_session(place: &Place) {
    let lent = Lent::start(place);
    let fault = "op=mkdir,path=/tmp/new,error=EROFS";
    let ran = lent.ran(&["--with", "mkdir", "--fault", fault, "--", "mkdir", "/tmp/new"]);
    assert!(ran.status == 1 && ran.stderr.contains("Read-only file system"), "{}", ran.told());
    let told = format!("the command had a fault on purpose in 1 call, first at /tmp/new: {fault}");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    let many: Vec<&str> = std::iter::repeat_n(["--fault", "error=EIO"], 65).flatten().collect();
    let refused = lent.ran(&[&many[..], &["--with", "mkdir", "--", "mkdir", "/tmp/new"]].concat());
    assert!(refused.stderr.contains("65 faults are more than 64"), "{}", refused.told());
    lent.assert_nothing_left();
}
