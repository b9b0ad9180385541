//! Several machines: Nix's own distributed builds, with loopbox as the external builder of each.
//!
//! A machine has a store, a network, processes and a daemon of loopbox's of its own; the one that plans reaches it by ssh alone.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::store::{Store, ran};
use crate::cases::clean::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};
use crate::command::{command, quiet};
use crate::lab::Lab;
use crate::lab::new_nix::NewNix;
use crate::lab::ssh::Ssh;

cases![each_machine_builds_a_part_in_views_of_its_own, what_a_lost_machine_was_to_build_another_one_builds,];

/// How long a machine may take to answer, or to begin with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine's first process. `$1` is its directory, and the rest is how its server of ssh is started.
const FIRST_PROCESS: &str = "set -e
here=$1; shift
mount -t tmpfs -o mode=755 store /nix
mount --bind $here/passwd /etc/passwd
mkdir -p /run/sshd
LOOPBOX_LOG=info $LOOPBOX --state-dir $here/state --socket $here/loopbox.socket daemon --policy $here/no.toml 2> $here/daemon.log &
exec \"$@\" -D -e -f $here/sshd_config 2> $here/sshd.log";

/// One that builds for others. Everything on it ends with its first process.
pub struct Machine {
    /// What has started the first process, and kills it when it dies.
    parent: Child,
    directory: PathBuf,
    address: String,
}

/// The one that plans, and the others.
pub struct Machines {
    /// What it plans to build.
    pub store: Store,
    /// The others.
    pub builders: Vec<Machine>,
    ssh_options: String,
}

impl Machines {
    /// Starts the others for one that plans to build something of a store.
    pub fn start(place: &Place, store: Store) -> Machines {
        let lab = Lab::open().expect("the checkout is there");
        let ssh = Ssh::bring(&lab).expect("it was brought outside");
        let nix = NewNix::bring(&lab).expect("it was brought outside");
        let key = make_key(place, &ssh, "key");
        let quiet =
            "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR";
        let ssh_options = format!("-i {} -o ConnectTimeout=5 {quiet}", key.display());
        let programs = [Loopbox::for_everybody(), Loopbox::program()];
        let shown = programs.iter().filter_map(|program| program.parent()).chain([place.dir()]);
        let enter = nix.enter(&lab, shown).expect("there are words for that");
        let builders = [1, 2].map(|number| Machine::start(place, &ssh, &enter, number)).into();
        Machines { store, builders, ssh_options }
    }

    /// `nix-store --realise`, which builds nothing on this machine, and all that it can if something fails.
    pub fn realise(&self, derivations: &[&str]) -> Command {
        let builders: Vec<String> = self.builders.iter().map(Machine::as_builder).collect();
        let words =
            ["--realise", "--keep-going", "--max-jobs", "0", "--option", "builders", &builders.join(" ; ")];
        let mut command = self.store.command("nix-store", words.iter().chain(derivations));
        command.env("NIX_SSHOPTS", &self.ssh_options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Machine {
    fn start(place: &Place, ssh: &Ssh, enter: &[OsString], number: u8) -> Machine {
        let name = format!("machine{number}");
        let directory = place.directory(&name);
        let address = join_network(&name, number);
        make_key(place, ssh, &format!("{name}/host"));
        configure(place, &name, &address, enter);
        let mut parent = command("ip", ["netns", "exec", &name, "unshare", "--mount", "--pid", "--fork"]);
        parent.args(["--kill-child", "--mount-proc", "sh", "-c", FIRST_PROCESS, "sh"]).arg(&directory);
        parent.args(ssh.words("sbin/sshd").split(' ')).env("LOOPBOX", Loopbox::for_everybody());
        let parent = parent.stdin(Stdio::null()).spawn().expect("unshare can be started");
        let mut machine = Machine { parent, directory, address };
        machine.wait_until_it_answers();
        machine
    }

    fn wait_until_it_answers(&mut self) {
        let began = Instant::now();
        while std::net::TcpStream::connect((&*self.address, 22)).is_err() {
            assert_eq!(self.parent.try_wait().expect("it can be asked for"), None, "{}", self.logs());
            assert!(began.elapsed() < PATIENCE, "{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// As Nix's setting `builders` has it: one build at a time.
    fn as_builder(&self) -> String {
        format!("ssh-ng://root@{} x86_64-linux - 1", self.address)
    }

    /// What its servers have said.
    pub fn logs(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        ["sshd.log", "daemon.log"].map(read).concat()
    }

    /// Ends it with all that runs on it.
    pub fn lose(&mut self) {
        self.parent.kill().expect("it runs");
        self.parent.wait().expect("it ends");
    }

    /// How many builds it has had in views.
    pub fn builds(&self) -> usize {
        self.logs().matches("a session begins").count()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.parent.kill();
        let _ = self.parent.wait();
        if let Some(name) = self.directory.file_name() {
            let _ = quiet(command("ip", ["netns", "delete"]).arg(name));
        }
    }
}

/// Makes a network with this machine in it and another one; the other's address.
fn join_network(name: &str, number: u8) -> String {
    let (here, there) = (format!("10.77.{number}.1"), format!("10.77.{number}.2"));
    let outer = format!("outer{number}");
    let ip = |words: &str| quiet(&mut command("ip", words.split(' '))).expect("a network can be made");
    ip(&format!("netns add {name}"));
    ip(&format!("link add name {outer} type veth peer name inner netns {name}"));
    ip(&format!("address add {here}/24 dev {outer}"));
    ip(&format!("link set {outer} up"));
    ip(&format!("-n {name} address add {there}/24 dev inner"));
    ip(&format!("-n {name} link set inner up"));
    ip(&format!("-n {name} link set lo up"));
    there
}

/// What ssh and Nix of a machine are told.
fn configure(place: &Place, name: &str, address: &str, enter: &[OsString]) {
    let here = place.path(name);
    let at = here.display();
    let passwd = fs::read_to_string("/etc/passwd").expect("the machine has users");
    let separated = "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin";
    place.file(format!("{name}/passwd"), format!("{passwd}{separated}\n"));
    let enter: Vec<String> = enter.iter().map(|word| format!("'{}'", word.display())).collect();
    let session = format!(
        "export NIX_CONF_DIR={at} TMPDIR=/tmp\nexec {} sh -c \"$SSH_ORIGINAL_COMMAND\"",
        enter.join(" ")
    );
    script(&here.join("session"), &session);
    let keys = fs::read_to_string(place.path("key.pub")).expect("it was made");
    place.file(format!("{name}/authorized_keys"), keys);
    let ssh = format!(
        "ListenAddress {address}\nHostKey {at}/host\nPidFile none\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nAuthorizedKeysFile {at}/authorized_keys\nForceCommand {at}/session\n"
    );
    place.file(format!("{name}/sshd_config"), ssh);
    let program = Loopbox::for_everybody();
    let words = ["--socket".into(), format!("{at}/loopbox.socket"), "external-builder".into()];
    let builders = serde_json::json!([{ "systems": ["x86_64-linux"], "program": program, "args": words }]);
    let nix = format!(
        "experimental-features = nix-command external-builders\nsubstituters =\nbuild-users-group = nixbld\n\
         external-builders = {builders}\n"
    );
    place.file(format!("{name}/nix.conf"), nix);
}

/// A pair of keys without a password.
fn make_key(place: &Place, ssh: &Ssh, name: &str) -> PathBuf {
    let (path, words) = (place.path(name), ssh.words("bin/ssh-keygen"));
    let words: Vec<&str> = words.split(' ').collect();
    let mut command = command(words[0], &words[1..]);
    quiet(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path)).expect("a key can be made");
    path
}

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it can be made executable");
}

/// A store without anything in it.
const SETTINGS: &str = "substituters =\n";

fn each_machine_builds_a_part_in_views_of_its_own(place: &Place) {
    let machines = Machines::start(place, Store::of_new_nix(place, SETTINGS));
    let store = &machines.store;
    let names = ["one", "two", "three", "four"];
    let derivations = names.map(|salt| store.derivation("slow", salt));
    let looking = store.derivation("looking", "for");
    let all: Vec<&str> = derivations.iter().chain([&looking]).map(String::as_str).collect();
    let built = ran(&mut machines.realise(&all));
    let logs = || machines.builders.iter().map(Machine::logs).collect::<String>();
    assert_eq!(built.status, 0, "{}\n{}", built.stderr, logs());
    assert_eq!(built.stdout.lines().count(), all.len());
    let counts: Vec<usize> = machines.builders.iter().map(Machine::builds).collect();
    assert_eq!(counts.iter().sum::<usize>(), all.len(), "{}", logs());
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    let told = "looking-for asked for paths of this machine that are not in its view:\n  /etc/debian_version";
    assert!(built.stderr.contains(told), "{}", built.stderr);
    store.ask("nix-store", ["--verify", "--check-contents"]);
}

fn what_a_lost_machine_was_to_build_another_one_builds(place: &Place) {
    let mut machines = Machines::start(place, Store::of_new_nix(place, SETTINGS));
    let derivation = machines.store.derivation("held", "lost");
    let mut build = machines.realise(&[&derivation]).spawn().expect("Nix can be started");
    let ended = || build.try_wait().is_ok_and(|status| status.is_some());
    let builder = traces::wait_for(&traces::build_users(), "sleep 1000", ended);
    builder.unwrap_or_else(|| panic!("{}", machines.builders.iter().map(Machine::logs).collect::<String>()));
    let at_work = machines.builders.iter().position(|machine| machine.builds() > 0).expect("it builds");
    machines.builders[at_work].lose();
    let began = Instant::now();
    let failed = build.wait_with_output().expect("it ends");
    assert!(!failed.status.success() && began.elapsed() < PATIENCE, "{failed:?}");
    traces::wait_until_gone(&traces::build_users());
    let output = machines.store.ask("nix-store", ["--query", "--outputs", &derivation]);
    assert!(!Path::new(&output).exists());

    let again = machines.store.derivation("slow", "again");
    let built = ran(&mut machines.realise(&[&again]));
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(machines.builders[1 - at_work].builds(), 1);
    machines.store.ask("nix-store", ["--verify", "--check-contents"]);
}
