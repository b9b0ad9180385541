//! loopbox's own file is out of reach, whoever runs a view and whoever is in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::host::attacker;
use crate::cases::hide::store::Builds;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    a_command_cannot_change_the_program_that_runs_it,
    a_build_cannot_change_the_program_that_runs_it,
    a_shell_cannot_change_the_program_that_runs_it,
    a_build_for_nix_cannot_change_the_program_that_runs_it,
];

/// What the attempts are.
const ATTEMPTS: usize = 7;
/// Where the kernel looks for the loader of loopbox, and where the machine's own is then.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
const REAL_LOADER: &str = "/real-loader";
const LIBRARIES: &str = "/lib/x86_64-linux-gnu";
/// The attack, as the arguments of the script.
const WORDS: [&str; 3] = ["/attacker", "__attempts", "itself"];

/// A copy of loopbox to attack, and what a view shows for the attack: at a place, a host file.
pub struct Attack {
    loopbox: PathBuf,
    shown: Vec<(&'static str, PathBuf)>,
}

impl Attack {
    /// The file is this user's.
    pub fn new(place: &Place, owner: u32) -> Attack {
        let loopbox = place.path("loopbox");
        fs::copy(Loopbox::program(), &loopbox).expect("it can be copied");
        chown(&loopbox, Some(owner), Some(owner)).expect("root gives it away");
        let script = place.file("script", "#!/proc/self/exe\n");
        let loader = place.file("loader", keeping_loader());
        for file in [&script, &loader, &loopbox] {
            fs::set_permissions(file, Permissions::from_mode(0o755)).expect("root can change modes");
        }
        let shown = vec![
            ("/script", script),
            (LOADER, loader),
            (REAL_LOADER, fs::canonicalize(LOADER).expect("the machine has a loader")),
            (LIBRARIES, fs::canonicalize(LIBRARIES).expect("the machine has libraries")),
            (WORDS[0], attacker().into()),
        ];
        Attack { loopbox, shown }
    }

    /// Words of Nix's setting `sandbox-paths`.
    fn sandbox_paths(&self) -> Vec<String> {
        self.shown.iter().map(|(at, source)| format!("{at}={}", source.display())).collect()
    }

    /// The words by which loopbox attacks itself in a backend, as this user.
    pub fn words(&self, backend: &str, user: u32, more: &[&str]) -> Vec<String> {
        let user = user.to_string();
        let mut words: Vec<String> = ["run", "--backend", backend, "--uid", &user].map(String::from).into();
        for (at, source) in &self.shown {
            words.extend(["--ro".into(), format!("{}:{at}", source.display())]);
        }
        let attack = ["--", "/script"].iter().chain(&WORDS).chain(more);
        words.extend(attack.map(|word| (*word).to_owned()));
        words
    }

    /// Runs a command of loopbox with the copy.
    pub fn run(&self, command: &Command) -> Ran {
        let mut copy = Command::new(&self.loopbox);
        copy.args(command.get_args());
        copy.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        copy.output().expect("loopbox can be started").into()
    }

    /// Runs a command of loopbox with the copy; every attempt has to be refused, and the file to be what it was.
    #[track_caller]
    fn held(&self, command: &Command) {
        let state = |path: &Path| {
            let meta = fs::metadata(path).expect("it is there");
            (meta.mode(), meta.uid(), meta.len(), meta.mtime(), meta.ctime(), meta.ctime_nsec(), meta.nlink())
        };
        let before = state(&self.loopbox);
        let ran = self.run(command);
        let report = format!("{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(state(&self.loopbox), before, "{report}");
        assert!(report.contains("0 wrong") && !report.contains("WRONG"), "{report}");
        assert!(report.lines().count() > ATTEMPTS, "{report}");
    }
}

fn a_command_cannot_change_the_program_that_runs_it(place: &Place) {
    for (backend, user) in [("nfs", 0), ("nfs", USER), ("bind", 0), ("bind", USER)] {
        let place = Place::new(place.directory(format!("{backend}-{user}")), place.ground);
        let attack = Attack::new(&place, user);
        attack.held(&Loopbox::at(&place).command(attack.words(backend, user, &[])));
    }
}

/// It makes no output, and fails for that alone.
fn a_build_cannot_change_the_program_that_runs_it(place: &Place) {
    let (attack, builds) = (Attack::new(place, 0), Builds::new(place));
    let derivation = builds.derivation("started", &[("script", "/script")]);
    attack.held(&builds.build_command(&derivation, &["--sandbox-paths", &attack.sandbox_paths().join(" ")]));
}

fn a_shell_cannot_change_the_program_that_runs_it(place: &Place) {
    let (attack, builds) = (Attack::new(place, 0), Builds::new(place));
    let derivation = builds.derivation("started", &[("script", "/script")]);
    let paths = attack.sandbox_paths().join(" ");
    let words = [&["--sandbox-paths", &paths, "--", "/script"], &WORDS[..]].concat();
    attack.held(&builds.shell_command(&derivation, &words));
}

/// Nix without build users runs builders as root.
fn a_build_for_nix_cannot_change_the_program_that_runs_it(place: &Place) {
    let attack = Attack::new(place, 0);
    let tmp = place.directory("tmp");
    let description = json!({
        "version": 1, "builder": "/script", "args": WORDS, "env": {}, "inputPaths": [], "storeDir": "/nix/store", "realStoreDir": "/nix/store",
        "outputs": { "out": "/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-itself" }, "system": "x86_64-linux",
        "tmpDir": tmp, "topTmpDir": tmp, "tmpDirInSandbox": "/build",
    });
    let description = place.file("build.json", description.to_string());
    let mut words = vec!["external-builder".to_owned()];
    words.extend(attack.sandbox_paths());
    words.push(description.display().to_string());
    attack.held(&Loopbox::at(place).command(words));
}

/// A loader, as a program without a library: it opens the program that it was to load, and leaves it open to the machine's
/// own loader, which it executes with all arguments but the zeroth.
fn keeping_loader() -> Vec<u8> {
    /// Of the header and of one entry of the table of segments (elf(5)).
    const HEADERS: u64 = 64 + 56;
    #[rustfmt::skip]
    let code: Vec<u8> = [
        b"\xb8\x02\x00\x00\x00".as_slice(),         // mov eax, open
        b"\x48\x8d\x3d\x30\x00\x00\x00",            // lea rdi, [rip + program]
        b"\x31\xf6\x31\xd2\x0f\x05",                // no flags, no mode
        b"\xb8\x3b\x00\x00\x00",                    // mov eax, execve
        b"\x48\x8d\x3d\x2e\x00\x00\x00",            // lea rdi, [rip + loader]
        b"\x48\x8d\x74\x24\x10",                    // lea rsi, [rsp + 16]: the first argument
        b"\x48\x8b\x0c\x24",                        // mov rcx, [rsp]: how many there are
        b"\x48\x8d\x54\xcc\x10\x0f\x05",            // lea rdx, [rsp + rcx * 8 + 16]: the environment
        b"\xb8\x3c\x00\x00\x00\xbf\x63\x00\x00\x00\x0f\x05\x90\x90", // exit with 99
    ].concat();
    assert_eq!(code.len(), 60, "the distances of the two texts count on it");
    let text = [code, b"/proc/self/exe\0\0".to_vec(), REAL_LOADER.into(), vec![0]].concat();
    let whole = HEADERS + text.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // A shared object for x86-64, version 1.
    file.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    // Where it starts, its segments, its sections (none), and the sizes of headers.
    for number in [HEADERS, 64, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    // One segment, loaded to be read and executed, all of the file.
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for number in [0, 0, 0, whole, whole, 4096] {
        file.extend(number.to_le_bytes());
    }
    file.extend(text);
    file
}
