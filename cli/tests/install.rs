//! `packaging/install.sh` puts the program and what belongs to it where each is looked for.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/install.sh");
const PROGRAM: &str = env!("CARGO_BIN_EXE_loopbox");

fn install(words: &[&str], to: &Path) -> Output {
    Command::new("sh").arg(SCRIPT).args(words).env("DESTDIR", to).output().unwrap()
}

/// The files below a directory with their modes, the pages of commands left out.
fn files(below: &Path, at: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(below, &path, found);
        } else if !path.file_name().unwrap().to_str().unwrap().starts_with("loopbox-") {
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            found.push(format!("{mode:o} {}", path.strip_prefix(below).unwrap().display()));
        }
    }
    found.sort();
}

#[test]
fn everything_is_under_the_prefix() {
    let to = tempfile::tempdir().unwrap();
    let output = install(&[PROGRAM, "/opt/loopbox"], to.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prefix = to.path().join("opt/loopbox");
    let mut found = Vec::new();
    files(&prefix, &prefix, &mut found);
    let mut expected = vec![
        "644 share/bash-completion/completions/loopbox",
        "644 share/doc/loopbox/CHANGELOG.md",
        "644 share/doc/loopbox/LICENSE-APACHE",
        "644 share/doc/loopbox/LICENSE-MIT",
        "644 share/doc/loopbox/README.md",
        "644 share/fish/vendor_completions.d/loopbox.fish",
        "644 share/man/man1/loopbox.1",
        "644 share/zsh/site-functions/_loopbox",
        "755 bin/loopbox",
    ];
    if cfg!(target_os = "linux") {
        expected.insert(0, "644 lib/systemd/system/loopbox.socket");
        expected.insert(0, "644 lib/systemd/system/loopbox.service");
        let service = fs::read_to_string(prefix.join("lib/systemd/system/loopbox.service")).unwrap();
        assert!(service.contains("\nExecStart=/opt/loopbox/bin/loopbox daemon\n"), "{service}");
    }
    assert_eq!(found, expected);
    assert!(prefix.join("share/man/man1/loopbox-run.1").exists());
    assert_eq!(fs::read(prefix.join("bin/loopbox")).unwrap(), fs::read(PROGRAM).unwrap());
    // What it makes on the way is in a directory of its own.
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
}

#[test]
fn another_machine_s_program_is_not_run() {
    let to = tempfile::tempdir().unwrap();
    let program = to.path().join("program");
    fs::write(&program, "not for this machine").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut install = Command::new("sh");
    install.arg(SCRIPT).arg(&program).arg("/usr").env("DESTDIR", to.path());
    let output = install.env("PRINTER", PROGRAM).env("SYSTEM", "Darwin").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let prefix = to.path().join("usr");
    assert_eq!(fs::read(prefix.join("bin/loopbox")).unwrap(), b"not for this machine");
    assert!(prefix.join("share/man/man1/loopbox-run.1").exists());
    assert!(!prefix.join("lib").exists(), "a Mac has no systemd");
}

/// The status, and what it says.
fn refusal(words: &[&str]) -> (i32, String) {
    let to = tempfile::tempdir().unwrap();
    let output = install(words, to.path());
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0, "nothing is made");
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).replace(SCRIPT, "install.sh"))
}

#[test]
fn wrong_words_make_nothing() {
    let usage = "usage: install.sh PROGRAM [PREFIX]\n";
    assert_eq!(refusal(&[]), (2, usage.into()));
    assert_eq!(refusal(&[PROGRAM, "/usr", "more"]), (2, usage.into()));
    assert_eq!(refusal(&[PROGRAM, "usr"]), (2, "install.sh: the prefix usr has to begin with /\n".into()));
    let odd = "install.sh: the prefix /a b has characters that systemd and shells read otherwise\n";
    assert_eq!(refusal(&[PROGRAM, "/a b"]), (2, odd.into()));
    let missing = "install.sh: /nowhere/loopbox is no program; 'cargo build --release --locked' makes target/release/loopbox\n";
    assert_eq!(refusal(&["/nowhere/loopbox"]), (1, missing.into()));
}
