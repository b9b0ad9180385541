//! The Debian package, in systems that have nothing of loopbox or of what it is made with: each case installs it in the system that is
//! its root, uses it as people do, and takes it away again.

mod systemd;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

use super::loopbox::{Ran, ran};
use super::nix::daemon::Running;
use super::{Place, cases};
use systemd::under_systemd;

cases![without_nix, with_nix, under_systemd, as_the_readme_says];

/// Names the package's file.
pub const PACKAGE: &str = "LOOPBOX_PACKAGE";

/// Without questions. No archive is asked: there is nothing to bring.
const APT: &str = "export DEBIAN_FRONTEND=noninteractive; apt-get --quiet=2 --yes";

/// What installing and removing any package changes, and what other file systems are mounted over.
const OTHERS: [&str; 8] =
    ["/dev", "/proc", "/run", "/sys", "/tmp", "/var/cache", "/var/lib/dpkg", "/var/log"];

/// An ordinary user's name.
const USER: &str = "alice";

/// What is in a system, by path: contents, mode and owner of files, and what else there is.
type Files = BTreeMap<PathBuf, (Vec<u8>, u32, u32)>;

/// A daemon that runs until it is dropped, once it listens.
fn daemon(words: &[&str], socket: &str) -> Running {
    let (program, arguments) = words.split_first().expect("a program");
    // Not in the directory of the case, since what the daemon has started may outlive it for a moment.
    let log = File::create(format!("/tmp/{program}.log")).expect("a log");
    let mut command = Command::new(program);
    command.args(arguments).stdout(log.try_clone().expect("a log")).stderr(log);
    Running::start(&mut command, socket.as_ref())
}

/// What is in the system.
fn system() -> Files {
    let others = OTHERS.map(Path::new);
    let walk = WalkDir::new("/").same_file_system(true).into_iter();
    walk.filter_entry(|entry| !others.contains(&entry.path()))
        .map(|entry| {
            let entry = entry.expect("root may list everything");
            let metadata = entry.path().symlink_metadata().expect("it is there");
            let contents = if metadata.is_file() { fs::read(entry.path()) } else { Ok(Vec::new()) };
            (entry.into_path(), (contents.expect("root may read it"), metadata.mode(), metadata.uid()))
        })
        .collect()
}

/// What is set up in it: all of /etc, and what root and others have in their homes.
fn configuration() -> Files {
    let kept = ["/etc", "/root", "/home"];
    let all = system().into_iter().filter(|(path, _)| kept.iter().any(|kept| path.starts_with(kept)));
    // Caches of Nix's own clients.
    all.filter(|(path, _)| !path.components().any(|part| part.as_os_str() == ".cache")).collect()
}

/// The paths that are in only one of two systems, or otherwise there.
fn difference(one: &Files, other: &Files) -> Vec<PathBuf> {
    let all = one.keys().chain(other.keys());
    let mut changed: Vec<PathBuf> = all.filter(|path| one.get(*path) != other.get(*path)).cloned().collect();
    changed.sort();
    changed.dedup();
    changed
}

fn package() -> String {
    std::env::var(PACKAGE).unwrap_or_else(|_| panic!("{PACKAGE} names no package"))
}

fn install(place: &Place) {
    place.shell(&format!("{APT} install {}", package()));
}

/// Makes a user as Debian does, whom Nix's daemon serves if there is one.
fn make_user(place: &Place) {
    place.shell(&format!(
        "useradd --create-home $(getent group nix-users > /dev/null && echo --groups nix-users) {USER}"
    ));
}

/// A shell's line by that user.
fn by_user(line: &str) -> Ran {
    let mut command = Command::new("/usr/sbin/runuser");
    command.args(["--login", "--shell", "/bin/sh", "--command", line, USER]);
    ran(command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/"))
}

/// The smallest Debian: it can run commands in views, say what it lacks, and forget the package without a trace.
fn without_nix(place: &Place) {
    for missing in ["cc", "cargo", "nix-store", "loopbox"] {
        assert_eq!(place.shell(&format!("command -v {missing} || echo none")), "none");
    }
    make_user(place);
    let before = system();
    install(place);
    assert_eq!(place.shell("loopbox --version"), concat!("loopbox ", env!("CARGO_PKG_VERSION")));
    let doctor = ran(Command::new("loopbox").arg("doctor"));
    assert!(doctor.stdout.contains("good     NFS client: "), "{doctor:?}");
    assert!(doctor.stdout.contains("Nix: "), "{doctor:?}");
    let seen = "loopbox run --preset base -- sh -c 'echo hello from $(id -un); ls /; test ! -e /etc/loopbox'";
    let seen = place.shell(seen);
    assert!(seen.starts_with("hello from "), "{seen}");
    assert!(seen.contains("usr") && !seen.contains("\nroot\n"), "{seen}");
    for file in [
        "/usr/share/man/man1/loopbox-run.1.gz",
        "/usr/share/bash-completion/completions/loopbox",
        "/usr/share/doc/loopbox/licences.txt",
        "/usr/lib/systemd/system/loopbox.socket",
    ] {
        assert!(Path::new(file).exists(), "{file}");
    }
    // Nobody may use the daemon without being named.
    let ours = daemon(&["loopbox", "daemon"], "/run/loopbox.socket");
    let refused = by_user("loopbox run --preset base -- true");
    assert_eq!(refused.status, 125, "{refused:?}");
    assert!(refused.stderr.contains("is not among those who may use it"), "{refused:?}");
    drop(ours);
    let policy = format!("users = ['{USER}']");
    place.shell(&format!("echo \"{policy}\" >> /etc/loopbox/daemon.toml"));
    let ours = daemon(&["loopbox", "daemon"], "/run/loopbox.socket");
    let allowed = by_user("loopbox run --preset base -- id -u");
    assert_eq!(allowed.stdout, place.shell(&format!("id -u {USER}")), "{allowed:?}");
    drop(ours);
    // The policy is the machine's own: an upgrade leaves it as it is, and so does removing the package.
    place.shell(&format!("{APT} install --reinstall {}", package()));
    assert!(place.shell("cat /etc/loopbox/daemon.toml").ends_with(&policy));
    place.shell(&format!("{APT} remove loopbox; test ! -e /usr/bin/loopbox"));
    assert!(Path::new("/etc/loopbox/daemon.toml").exists());
    place.shell(&format!("{APT} purge loopbox"));
    assert_eq!(difference(&before, &system()), Vec::<PathBuf>::new());
}

/// Where Nix's daemon listens.
const NIX_SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

/// A derivation that asks for what its view hides.
const DERIVATION: &str = r#"derivation { name = "installed"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "if test -e /etc/loopbox/daemon.toml; then echo seen; else echo hidden; fi > $out" ]; }"#;

/// The output that `nix build` says it has built.
fn output(built: &Ran) -> String {
    let said: serde_json::Value = serde_json::from_str(&built.stdout).expect("Nix prints JSON");
    said[0]["outputs"]["out"].as_str().expect("an output").to_owned()
}

/// `nix build` of a derivation, which says what it has built.
fn build(derivation: &str) -> String {
    let expression = derivation.replace('\n', " ");
    let nix =
        "nix --extra-experimental-features nix-command build --impure --no-link --json --print-build-logs";
    format!("{nix} --expr '{expression}'")
}

/// Gives builds a static shell, as every Nix outside of Debian has one.
fn show_shell(place: &Place) {
    place.shell("grep -q ^sandbox-paths /etc/nix/nix.conf || echo sandbox-paths = /bin/sh=/usr/bin/busybox >> /etc/nix/nix.conf");
}

/// A Debian with Nix and its daemon: everybody's builds go through loopbox until the package is removed.
fn with_nix(place: &Place) {
    show_shell(place);
    make_user(place);
    let configured = configuration();
    install(place);
    let written = place.shell("loopbox setup --write 2>&1");
    assert!(written.contains("wrote /etc/nix/loopbox.conf"), "{written}");
    let _ours = daemon(&["loopbox", "daemon"], "/run/loopbox.socket");
    let nix = daemon(&["nix-daemon"], NIX_SOCKET);
    for remote in ["daemon", "auto"] {
        let verified = place.shell(&format!("NIX_REMOTE={remote} loopbox setup --verify 2>&1 || echo $?"));
        assert!(verified.contains("good: Nix has built "), "{remote}: {verified}");
    }
    let built = by_user(&build(DERIVATION));
    assert_eq!(built.status, 0, "{built:?}");
    assert_eq!(place.shell(&format!("cat {}", output(&built))), "hidden");
    assert!(
        built.stderr.contains("not in its view:\n") && built.stderr.contains("  /etc/loopbox\n"),
        "{built:?}"
    );
    // Removing the package takes back what was set up: Nix builds by itself again. What somebody has written there since stays.
    drop(nix);
    place.shell("echo '# mine' >> /etc/nix/nix.conf");
    place.shell(&format!("{APT} remove loopbox; test ! -e /usr/bin/loopbox"));
    place.shell("grep '^# mine$' /etc/nix/nix.conf; sed -i '/^# mine$/d' /etc/nix/nix.conf");
    // The policy, and what keeps systemd from starting the unit of a package that is gone.
    let stays = ["/etc/loopbox", "/etc/loopbox/daemon.toml", "/etc/systemd/system/loopbox.socket"];
    assert_eq!(difference(&configured, &configuration()), stays.map(PathBuf::from));
    let _nix = daemon(&["nix-daemon"], NIX_SOCKET);
    let built = by_user(&build(&DERIVATION.replace("\"installed\"", "\"removed\"")));
    assert_eq!(built.status, 0, "{built:?}");
    assert!(!built.stderr.contains("its view"), "{built:?}");
    place.shell(&format!("{APT} purge loopbox"));
    assert_eq!(difference(&configured, &configuration()), Vec::<PathBuf>::new());
}

/// What a person reads first.
const README: &str = include_str!("../../../README.md");

/// What stands in its lines for what only the reader has: a path, a flake, a directory that a build has left.
const READERS_OWN: [&str; 3] = ["…", ".#", "4711"];

/// What the lines are about, in a home that has nothing else.
const PROJECT: &str = r#"
    mkdir -p src/project out; cd src/project; git init --quiet
    printf '\043include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n' > hello.c
    printf 'hello: hello.c\n\tcc -o hello hello.c\ntest: hello\n\t./hello\n' > Makefile
    echo 'builtins.mapAttrs (name: text: derivation {
        inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo ${text} > $out" ];
    }) { hello = "hello"; }' > default.nix
    git add .; git -c user.name=A -c user.email=a@example.org commit --quiet --message first"#;

/// Every line of the README that runs loopbox, in its order, by somebody who has just installed it.
fn as_the_readme_says(place: &Place) {
    install(place);
    place.shell("echo sandbox-paths = /bin/sh=/usr/bin/busybox >> /etc/nix/nix.conf");
    place.shell(&format!("export HOME=/root; cd; {PROJECT}"));
    let lines = README.lines().filter_map(|line| line.strip_prefix("# ").or(line.strip_prefix("$ ")));
    let lines = lines.filter(|line| line.starts_with("loopbox "));
    let mut count = 0;
    for line in lines.filter(|line| READERS_OWN.iter().all(|own| !line.contains(own))) {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir("/root/src/project").env("HOME", "/root");
        let ran = ran(command.stdin(std::process::Stdio::null()));
        assert_eq!(ran.status, 0, "{line}: {ran:?}");
        // The report that is compared later is of yesterday.
        place.shell("cd /root/src/project; if test -e report.json; then cp report.json yesterday.json; fi");
        count += 1;
    }
    assert!(count >= 15, "{count} lines were found");
}
