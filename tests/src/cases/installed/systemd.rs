//! The package where systemd starts the services: in a container, whose first process it is.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{
    APT, DERIVATION, USER, build, configuration, difference, make_user, output, package, show_shell,
};
use crate::cases::Place;
use crate::cases::loopbox::{Ran, ran};

/// How long it may take to start everything, and a build to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its files in /run and devices are its own: it resets the terminals that it finds, and nobody logs in at a console. Packages start
/// their services there.
const BOOT: &str = r#"
    mount -t tmpfs -o mode=755 run /run
    mkdir /run/dev
    mount -t tmpfs -o mode=755 dev /run/dev
    for name in null zero full random urandom tty; do cp -a /dev/$name /run/dev/; done
    mkdir /run/dev/pts /run/dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /run/dev/pts
    ln -s pts/ptmx /run/dev/ptmx
    ln -s /proc/self/fd /run/dev/fd
    cp -a /run/dev/null /run/dev/console
    mount --move /run/dev /dev
    mkdir -p /run/systemd/system
    ln -s /dev/null /run/systemd/system/console-getty.service
    rm /usr/sbin/policy-rc.d
    exec env -i container=loopbox PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd"#;

/// A container with systemd, which ends with it.
struct Systemd {
    /// What has started it, and kills it when it dies.
    parent: Child,
    /// The process.
    pid: String,
}

impl Systemd {
    /// Starts it, and waits until it has started all that it is to start.
    fn boot() -> Systemd {
        let log = File::create("/root/systemd.log").expect("a log");
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-e", "-c", BOOT]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let parent = command.spawn().expect("unshare can be started");
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        let mut systemd = Systemd { parent, pid: String::new() };
        systemd.wait_until("is-system-running", |systemd| {
            systemd.pid = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            !systemd.pid.is_empty() && systemd.state("is-system-running", "") == "running"
        });
        systemd
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Systemd) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            let log = || fs::read_to_string("/root/systemd.log").unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "{what}: {}\n{}", self.state(what, ""), log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A command in the container.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--pid", "--"]).args(words);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .current_dir("/");
        command
    }

    /// A shell's line, which succeeds; what it prints.
    fn shell(&self, line: &str) -> String {
        let ran = ran(&mut self.command(&["sh", "-e", "-c", line]));
        assert_eq!(ran.status, 0, "{line}: {ran:?}");
        ran.stdout.trim_end().to_owned()
    }

    /// A shell's line by the ordinary user.
    fn by_user(&self, line: &str) -> Ran {
        ran(&mut self.command(&["runuser", "--login", "--shell", "/bin/sh", "--command", line, USER]))
    }

    /// What `systemctl` answers to a question about a unit.
    fn state(&self, question: &str, unit: &str) -> String {
        let words = ["systemctl", question, unit];
        let answer = ran(&mut self.command(words.strip_suffix(&[""]).unwrap_or(&words)));
        answer.stdout.trim_end().to_owned()
    }

    /// Whether the daemon's socket is started with the machine, and is there now.
    fn socket(&self) -> [String; 2] {
        ["is-enabled", "is-active"].map(|question| self.state(question, "loopbox.socket"))
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = self.parent.kill();
        let _ = self.parent.wait();
    }
}

/// A derivation whose build takes some seconds, as the system counts them.
fn slow() -> String {
    let wait = "read now x < /proc/uptime; end=$((${now%.*} + 5)); while [ ${now%.*} -lt $end ]; do read now x < /proc/uptime; done;";
    DERIVATION
        .replace("\"installed\"", "\"slow\"")
        .replace("if test", &format!("{} if test", wait.replace("${", "\\${")))
}

/// Sockets and services are as `setup` says, and as they were once that is undone; a new daemon does not end what an old one began.
pub fn under_systemd(place: &Place) {
    show_shell(place);
    make_user(place);
    let mut systemd = Systemd::boot();
    let configured = configuration();
    systemd.shell(&format!("{APT} install {}", package()));
    assert_eq!(systemd.socket(), ["disabled", "inactive"]);
    let written = systemd.shell("loopbox setup --write 2>&1");
    assert!(written.contains("good: Nix has built "), "{written}");
    assert_eq!(systemd.socket(), ["enabled", "active"]);
    // As after a start of the machine, where nobody has asked for the daemon yet.
    systemd.shell("systemctl stop loopbox.service; systemctl restart nix-daemon.service");
    let built = systemd.by_user(&build(DERIVATION));
    assert_eq!(built.status, 0, "{built:?}");
    assert_eq!(place.shell(&format!("cat {}", output(&built))), "hidden");
    assert_eq!(systemd.state("is-active", "loopbox.service"), "active");
    // It is replaced while a build goes on.
    let mut command =
        systemd.command(&["runuser", "--login", "--shell", "/bin/sh", "--command", &build(&slow()), USER]);
    let slow = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a build can be started");
    systemd.wait_until("status", |systemd| {
        !systemd.shell("ls -d /nix/store/*-slow.chroot 2> /dev/null || true").is_empty()
    });
    let group = "/sys/fs/cgroup/system.slice/loopbox.service/session-*";
    assert_ne!(systemd.shell(&format!("cat {group}/cgroup.procs")), "");
    systemd.shell("systemctl restart loopbox.service");
    let slow = Ran::from(slow.wait_with_output().expect("it ends"));
    assert_eq!(slow.status, 0, "{slow:?}");
    assert_eq!(place.shell(&format!("cat {}", output(&slow))), "hidden");
    // So is its program.
    systemd.shell(&format!("{APT} install --reinstall {}", package()));
    let named = |name: &str| build(&DERIVATION.replace("\"installed\"", name));
    let built = systemd.by_user(&named("\"upgraded\""));
    assert_eq!(built.status, 0, "{built:?}");
    assert!(built.stderr.contains("not in its view"), "{built:?}");
    systemd.shell("loopbox setup --undo");
    assert_eq!(systemd.socket(), ["disabled", "inactive"]);
    let built = systemd.by_user(&named("\"undone\""));
    assert_eq!(built.status, 0, "{built:?}");
    assert!(!built.stderr.contains("its view"), "{built:?}");
    // What somebody else has enabled is his.
    systemd.shell("systemctl enable --now loopbox.socket; loopbox setup --write; loopbox setup --undo");
    assert_eq!(systemd.socket(), ["enabled", "active"]);
    systemd.shell(&format!("{APT} purge loopbox"));
    assert_eq!(systemd.state("is-active", "loopbox.socket"), "inactive");
    assert_eq!(systemd.shell("systemctl list-units --failed --plain --no-legend"), "");
    assert_eq!(difference(&configured, &configuration()), Vec::<PathBuf>::new());
}
