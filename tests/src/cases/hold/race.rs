//! The owner of a directory that another user is shown writable exchanges what was just made there for a file of root's:
//! whatever the server does next to it by name, it does to the wrong file.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cases::clean::store::program;
use crate::cases::clean::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![a_file_made_in_a_graft_cannot_be_exchanged_for_one_of_roots];

/// Who owns the directory.
const OWNER: u32 = USER + 1;
/// The file of root's, and what it contains.
const ROOTS: (&str, &str) = ("roots", "secret\n");
/// How often something is made in the view, of each kind.
const COUNT: &str = "500";
/// How long the server is stopped each time, and how long it runs between: not long enough to answer many calls.
const STOPPED: Duration = Duration::from_millis(1);
const RUNNING: Duration = Duration::from_micros(200);
/// How often it is stopped before its processes are looked for again.
const OFTEN: u32 = 100;

fn a_file_made_in_a_graft_cannot_be_exchanged_for_one_of_roots(place: &Place) {
    // The program itself may lie where nobody but root reaches it.
    let own = place.path("program");
    fs::copy(program(), &own).expect("it can be copied");
    for kind in ["file", "directory"] {
        let directory = place.directory(kind);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("it is root's");
        chown(&directory, Some(OWNER), Some(OWNER)).expect("root can give it away");
        let roots = place.file(format!("{kind}/{}", ROOTS.0), ROOTS.1);
        fs::set_permissions(&roots, fs::Permissions::from_mode(0o600)).expect("it is root's");
        let mut exchange = Command::new(&own);
        exchange.args(["__other", "exchange"]).arg(&directory).args([ROOTS.0, "made"]).uid(OWNER);
        let mut exchange = exchange.spawn().expect("it can be started");
        let show = format!("{}:/shown", directory.display());
        let (program, user) = (program(), USER.to_string());
        let words = ["run", "--with", &program, "--uid", &user, "--rw", &show, "--", &program, "__other"];
        let words = words.into_iter().chain(["make", kind, "/shown/made", COUNT]);
        let mut loopbox = Loopbox::at(place).command(words).spawn().expect("loopbox can be started");
        let status = interrupted(&mut loopbox);
        exchange.kill().and_then(|()| exchange.wait()).expect("it is this process's");
        assert_eq!(of_roots(&directory), [(0, 0, 0o600)], "{kind}");
        assert!(status.success(), "{status}");
    }
}

/// Stops a loopbox and its server over and over, wherever they are, until it has ended.
fn interrupted(loopbox: &mut Child) -> ExitStatus {
    loop {
        if let Some(status) = loopbox.try_wait().expect("it is this process's") {
            return status;
        }
        let all = traces::outside_jails(loopbox.id());
        for _ in 0..OFTEN {
            for (signal, time) in [(Signal::SIGSTOP, STOPPED), (Signal::SIGCONT, RUNNING)] {
                for pid in &all {
                    // It may have ended.
                    let _ = kill(Pid::from_raw(*pid as i32), signal);
                }
                thread::sleep(time);
            }
        }
    }
}

/// Owner, group and mode of each file with the contents of root's.
fn of_roots(directory: &Path) -> Vec<(u32, u32, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        match fs::read_to_string(&path) {
            Ok(text) if text == ROOTS.1 => {
                let meta = fs::metadata(&path).expect("it is there");
                found.push((meta.uid(), meta.gid(), meta.mode() & 0o7777));
            }
            Err(error) if error.kind() != ErrorKind::IsADirectory => panic!("{path:?}: {error}"),
            _ => {}
        }
    }
    found
}
