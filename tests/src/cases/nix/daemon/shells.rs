//! `loopbox shell` by somebody who is not root: what a build sees, in a session of his own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{BUILD_USERS, Daemons, END, ORDINARY, signal, socket};
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::nix::store::ran;
use crate::cases::pty::Pty;
use crate::cases::{Place, cases};

cases![
    a_user_sees_what_the_build_sees,
    he_is_himself_and_what_he_writes_is_forgotten,
    a_nix_file_is_evaluated_and_inputs_are_built,
    what_a_user_may_not_read_his_shell_does_not_show,
    who_is_not_listed_has_no_shell,
    what_he_cannot_have_is_refused_with_the_way_out,
    he_goes_on_in_a_build_directory_of_his_own,
    his_terminal_has_job_control,
    the_collector_leaves_him_his_inputs,
    who_kills_his_shell_leaves_nothing,
];

/// What nobody but root reads.
const SECRET: &str = "the secret";

/// Environment, ids, and every file but those of processes, with mode, owner and kind.
const LOOK: &str = "seen=$(busybox env | busybox sort; busybox id; pwd; umask; \
    busybox find / -path /proc -prune -o -exec busybox stat -c '%A %u %g %t:%T %n' {} + | busybox sort); echo \"$seen\"";

/// Both daemons, whose policy lists the user.
fn start(place: &Place) -> Daemons<'_> {
    place.file("daemon.toml", format!("users = ['{ORDINARY}']\ngroups = ['nixbld']\n"));
    // The external builder is told none either.
    Daemons::start_with(place, &format!("{BUILD_USERS}sandbox-paths =\n"))
}

impl Daemons<'_> {
    /// `loopbox shell` by the user, with these words.
    fn shell_command(&self, words: &[&str]) -> Command {
        let (program, socket) = (Loopbox::for_everybody(), socket(self.place));
        let text = |path: &Path| path.to_str().expect("a path of text").to_owned();
        let (program, socket) = (text(&program), text(&socket));
        let mut shell = self.nix(&program, &[&["--socket", &socket, "shell"], words].concat());
        shell.env_remove("LOOPBOX_STATE_DIR").env("TMPDIR", &self.home);
        shell
    }

    fn shell(&self, words: &[&str]) -> Ran {
        ran(&mut self.shell_command(words))
    }

    /// What the user has in his directory: work directories, and notes of them.
    fn left_of_user(&self) -> Vec<String> {
        let own = format!("loopbox-{ORDINARY}");
        let names = traces::names(&self.home);
        let works = names.into_iter().filter(|name| name.starts_with("loopbox-") && *name != own);
        works.chain(traces::names(&self.home.join(&own))).collect()
    }

    /// Nothing of a session is left, soon.
    fn assert_no_shell_left(&self) {
        self.assert_nothing_left();
        assert_eq!(self.left_of_user(), [""; 0], "{}", self.logs());
        assert_eq!(traces::find(&[ORDINARY], ""), None, "a process of his");
    }
}

fn a_user_sees_what_the_build_sees(place: &Place) {
    let daemons = start(place);
    // The build's own file is one that the shell's has not, and the store's output one that neither has.
    let script = format!("> /build/x; {{ {LOOK}; }} > /build/x; cat /build/x > $out");
    let derivation = daemons
        .store
        .derivation_with("scripted", &["--argstr", "salt", "look", "--argstr", "script", &script]);
    let built = fs::read_to_string(daemons.built(&[&derivation])).expect("it was built");
    assert!(built.contains("NIX_BUILD_TOP=/build") && built.contains("-dep-look\n"), "{built}");
    let shell = daemons.shell(&[&derivation, "--run", &format!("> /build/x; {LOOK}")]);
    assert_eq!(shell.status, 0, "{}\n{}", shell.stderr, daemons.logs());
    assert_eq!(shell.stdout, built.trim_end());
    assert!(!shell.stdout.contains(" /usr"), "{}", shell.stdout);
    daemons.assert_no_shell_left();
}

fn he_is_himself_and_what_he_writes_is_forgotten(place: &Place) {
    let daemons = start(place);
    let derivation = daemons.store.derivation("top", "own");
    let script = "cat $dep; echo made > $out; cat $out; echo $out; echo > /tmp/x; echo > x; pwd; \
        busybox stat -f -c %T /build /tmp; ls -d /usr /home /root 2> /dev/null; exit 7";
    let shell = daemons.shell(&[&derivation, "--run", script]);
    let out = daemons.store.ask("nix-store", ["--query", "--outputs", &derivation]);
    let shown: Vec<&str> = shell.stdout.lines().collect();
    let [dep, made, path, pwd, build, tmp] = shown[..] else { panic!("{shell:?}\n{}", daemons.logs()) };
    assert_eq!((shell.status, dep, made, path, pwd), (7, "dep", "made", out.as_str(), "/build"));
    assert!(build != "nfs" && tmp != "nfs", "they are the machine's own: {shown:?}");
    assert!(!Path::new(&out).exists(), "what a shell makes is no output");
    let logs = daemons.logs();
    assert!(logs.contains(&format!("user=\"{ORDINARY}\"")), "{logs}");
    let served =
        daemons.shell(&[&derivation, "--scratch", "nfs", "--", "busybox", "stat", "-f", "-c", "%T", "/tmp"]);
    assert_eq!((served.status, served.stdout.as_str()), (0, "nfs"), "{served:?}");
    daemons.assert_no_shell_left();
}

fn a_nix_file_is_evaluated_and_inputs_are_built(place: &Place) {
    let daemons = start(place);
    let words = daemons.store.words("top", "file", "null");
    let shell = daemons.shell(&[&words[..], &["--run", "echo $name; cat $dep"]].concat());
    assert_eq!((shell.status, shell.stdout.as_str()), (0, "top-file\ndep"), "{shell:?}\n{}", daemons.logs());
    // What needs no build at all, and what cannot be built.
    let plain = daemons.shell(&[&daemons.store.derivation("plain", "x"), "--run", "echo $name"]);
    assert_eq!((plain.status, plain.stdout.as_str()), (0, "built-x"), "{plain:?}");
    let hopeless = daemons.shell(&[&daemons.store.derivation("hopeless", "x"), "--run", "echo inside"]);
    assert_eq!((hopeless.status, hopeless.stdout.as_str()), (1, ""), "{hopeless:?}");
    assert!(hopeless.stderr.contains("something went wrong"), "{}", hopeless.stderr);
    daemons.assert_no_shell_left();
}

fn what_a_user_may_not_read_his_shell_does_not_show(place: &Place) {
    let daemons = start(place);
    let closed = place.directory("closed");
    let (within, file) = (closed.join("file"), place.file("secret", SECRET));
    fs::write(&within, SECRET).expect("a file");
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).expect("root's");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("root's");
    let derivation = daemons.store.derivation("plain", "closed");
    for source in [&closed, &within, &file] {
        let shown = format!("/it={}", source.display());
        let words = ["--sandbox-paths", &shown, "--run", "cat /it /it/file; ls /it/"];
        let shell = daemons.shell(&[&[derivation.as_str()], &words[..]].concat());
        assert!(!shell.stdout.contains(SECRET) && !shell.stdout.contains("file"), "{source:?}: {shell:?}");
        assert!(shell.stderr.contains("ermission denied"), "{source:?}: {shell:?}");
        assert_ne!(shell.status, 0, "{source:?}: {shell:?}");
    }
    daemons.assert_no_shell_left();
}

fn who_is_not_listed_has_no_shell(place: &Place) {
    place.file("daemon.toml", "groups = ['nixbld']\n");
    let daemons = Daemons::start(place);
    let refused = daemons.shell(&[&daemons.store.derivation("top", "refused"), "--run", "echo inside"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (125, ""), "{refused:?}");
    let why = format!("Error: loopbox's daemon refuses: {ORDINARY} is not among those who may use it");
    assert!(refused.stderr.contains(&why), "{}", refused.stderr);
    assert!(refused.stderr.contains("Hint: /etc/loopbox/daemon.toml says who may"), "{}", refused.stderr);
    daemons.assert_no_shell_left();
}

fn what_he_cannot_have_is_refused_with_the_way_out(place: &Place) {
    let mut daemons = start(place);
    let derivation = daemons.store.derivation("plain", "had");
    let others = place.directory("others").display().to_string();
    let features = ["--extra-experimental-features", "ca-derivations"];
    let floating = daemons.store.derivation_with("floating", &features);
    let absent = "/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-absent.drv";
    for (words, status, why, way) in [
        (
            &[&derivation, "--backend", "bind"][..],
            125,
            "daemon has the backend nfs alone",
            "leave --backend out",
        ),
        (&[&derivation, "--keep-dir", &others], 125, "belongs to uid 0; without root", "'cp -r "),
        (
            &[&derivation, "--keep-dir", "/no/such"],
            125,
            "cannot continue in the build directory",
            "No such file",
        ),
        (&[absent], 125, "cannot read the derivation", "No such file"),
        (&["/etc/passwd.drv"], 125, "is not a derivation in the store", ""),
        (&["absent"], 2, "there is no file \"absent\" here", "-A absent"),
        (&[&floating], 125, "content-addressed", ""),
        (&[&derivation, "--max-bytes", "many"], 2, "--max-bytes", ""),
    ] {
        let refused = daemons.shell(&[words, &["--run", "echo inside"]].concat());
        assert_eq!((refused.status, refused.stdout.as_str()), (status, ""), "{words:?}: {refused:?}");
        assert!(
            refused.stderr.contains(why) && refused.stderr.contains(way),
            "{words:?}: {}",
            refused.stderr
        );
    }
    daemons.assert_no_shell_left();
    drop(daemons.loopbox.take());
    fs::remove_file(socket(place)).expect("a killed daemon has left it");
    let refused = daemons.shell(&[&derivation]);
    assert_eq!(refused.status, 125, "{refused:?}");
    assert!(refused.stderr.contains("this needs root"), "{}", refused.stderr);
}

fn he_goes_on_in_a_build_directory_of_his_own(place: &Place) {
    let daemons = start(place);
    let derivation = daemons.store.derivation("failing", "own");
    let kept: PathBuf = daemons.home.join("kept");
    fs::create_dir(&kept).expect("a directory");
    fs::write(kept.join("left"), "left behind\n").expect("a file");
    for path in [&kept, &kept.join("left")] {
        chown(path, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
    }
    let script =
        "pwd; cat left; echo more > more; busybox stat -c %u left more; busybox chmod 4755 more; echo $?";
    let shell = daemons.shell(&[&derivation, "--keep-dir", &kept.to_string_lossy(), "--run", script]);
    assert_eq!(shell.stdout, "/build\nleft behind\n1000\n1000\n1", "{shell:?}");
    let more = kept.join("more").metadata().expect("it stays");
    assert_eq!((more.uid(), more.gid(), more.mode() & 0o7777), (ORDINARY, ORDINARY, 0o644));
    daemons.assert_no_shell_left();
}

fn his_terminal_has_job_control(place: &Place) {
    let daemons = start(place);
    let mut shell = daemons.shell_command(&[&daemons.store.derivation("plain", "terminal")]);
    shell.env("TERM", "xterm");
    let mut pty = Pty::start(&shell);
    pty.press("set -o | busybox grep monitor; echo mark-$((40+2))\n");
    let monitor = pty.until("mark-42");
    assert!(monitor.contains("monitor") && monitor.contains("on"), "{monitor}");
    pty.press("echo by-$((40+2)) > /dev/tty\n");
    pty.until("by-42");
    pty.press("busybox tty\n");
    pty.until("/dev/console");
    // Ctrl-C is for what runs in front, and Ctrl-Z stops it.
    pty.press("busybox sh -c 'echo sleeping-$((40+2)); exec sleep 1000'\n");
    pty.until("sleeping-42");
    pty.press("\u{3}");
    pty.press("echo alive-$?\n");
    pty.until("alive-130");
    pty.press("busybox sh -c 'echo stopping-$((40+2)); exec sleep 1000'\n");
    pty.until("stopping-42");
    pty.press("\u{1a}");
    pty.until("Stopped");
    pty.resize(33, 77);
    // It takes a moment until the size has come through.
    pty.press("until busybox stty size | busybox grep '33 77'; do :; done; echo sized-$((40+2))\n");
    pty.until("sized-42");
    // A shell with a job that has stopped does not exit when it is first told to.
    pty.press("exec busybox sh -c 'exit 5'\n");
    let (status, shown) = pty.end();
    assert_eq!(status.code(), Some(5), "{shown}");
    assert!(!shown.contains("job control turned off"), "{shown}");
    daemons.assert_no_shell_left();
}

/// Starts a session in which a program waits, and waits for it.
fn hold(daemons: &Daemons<'_>, derivation: &str) -> std::process::Child {
    let mut shell = daemons.shell_command(&[derivation, "--run", "sleep 1000 || true"]);
    let mut shell = shell.spawn().expect("loopbox can be started");
    let ended = || shell.try_wait().is_ok_and(|status| status.is_some());
    let found = traces::wait_for(&[ORDINARY], "sleep 1000", ended);
    assert!(
        found.is_some(),
        "{:?}\n{}",
        Ran::from(shell.wait_with_output().expect("it ends")),
        daemons.logs()
    );
    shell
}

/// Whether a living process of Nix's has a path among its temporary roots: its file is locked then.
fn is_held(path: &str) -> bool {
    let roots = Path::new("/nix/var/nix/temproots");
    traces::names(roots).into_iter().any(|name| {
        let file = roots.join(name);
        let has = fs::read_to_string(&file).is_ok_and(|held| held.split('\0').any(|held| held == path));
        has && fs::File::open(&file).is_ok_and(|file| file.try_lock().is_err())
    })
}

fn the_collector_leaves_him_his_inputs(place: &Place) {
    let daemons = start(place);
    let derivation = daemons.store.derivation("top", "held");
    let mut shell = hold(&daemons, &derivation);
    let dep = daemons.store.derivation("dep", "held");
    let dep = daemons.store.ask("nix-store", ["--query", "--outputs", &dep]);
    assert!(is_held(&dep), "by Nix's daemon, and not only as what a running program names");
    let delete = || ran(&mut daemons.store.command("nix-store", ["--delete", &dep]));
    let refused = delete();
    assert!(refused.status != 0 && Path::new(&dep).exists(), "{refused:?}");
    signal(traces::find(&[ORDINARY], "sleep 1000").expect("it waits"), Signal::SIGKILL);
    shell.wait().expect("it ends");
    let began = Instant::now();
    while is_held(&dep) {
        assert!(began.elapsed() < END, "it is not held any more");
        std::thread::sleep(Duration::from_millis(20));
    }
    let deleted = delete();
    assert!(deleted.status == 0 && !Path::new(&dep).exists(), "{deleted:?}");
    daemons.assert_no_shell_left();
}

fn who_kills_his_shell_leaves_nothing(place: &Place) {
    let daemons = start(place);
    let derivation = daemons.store.derivation("top", "killed");
    let mut shell = hold(&daemons, &derivation);
    signal(
        traces::find(&[ORDINARY], &Loopbox::for_everybody().to_string_lossy()).expect("it runs"),
        Signal::SIGKILL,
    );
    shell.wait().expect("it ends");
    let began = Instant::now();
    let work = |name: &String| name.starts_with("loopbox-") && *name != format!("loopbox-{ORDINARY}");
    while traces::names(&daemons.home).iter().any(work) || traces::find(&[ORDINARY], "").is_some() {
        assert!(began.elapsed() < END, "{:?}\n{}", daemons.left_of_user(), daemons.logs());
        std::thread::sleep(Duration::from_millis(20));
    }
    daemons.assert_nothing_left();
    // The note of what there was goes with the next session.
    assert_eq!(daemons.shell(&[&derivation, "--run", "cat $dep"]).stdout, "dep");
    daemons.assert_no_shell_left();
}
