//! Two builds of the same at once: one has the lock of the output, and the other waits for it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::store::Store;
use crate::cases::clean::traces;
use crate::cases::{Place, cases};

cases![who_waits_for_the_lock_of_an_output_says_whose_it_is];

fn who_waits_for_the_lock_of_an_output_says_whose_it_is(place: &Place) {
    let store = Store::of_old_nix(place, "build-users-group = nixbld\nsubstituters =\n");
    let derivation = store.derivation("held", "lock");
    let output = store.ask("nix-store", ["--query", "--outputs", &derivation]);
    let start = || {
        let mut build = store.loopbox(["build", "--no-out-link", &derivation]);
        build.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("loopbox can be started")
    };
    let mut first = start();
    let ended = || first.try_wait().is_ok_and(|status| status.is_some());
    let builder = traces::wait_for(&traces::build_users(), "sleep 1000", ended).expect("it builds");

    let mut second = start();
    let mut lines = BufReader::new(second.stderr.take().expect("it is a pipe")).lines();
    let mut told = || lines.next().map(|line| line.expect("it can be read"));
    let name = fs::read_to_string(format!("/proc/{}/comm", first.id())).expect("it runs");
    let holder = format!("{}, process {}", name.trim_end(), first.id());
    let waits = format!("waiting for the lock on '{output}', held by {holder}");
    assert_eq!(told(), Some(waits));
    kill(Pid::from_raw(builder as i32), Signal::SIGTERM).expect("it runs");
    assert_eq!(told().as_deref(), Some("[1/1] built held-lock (somebody else had built it meanwhile)"));

    for build in [first, second] {
        let ended = build.wait_with_output().expect("it can be waited for");
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stdout).trim_end(), output);
    }
    assert_eq!(fs::read_to_string(&output).expect("it was built"), "held\n");
    assert_eq!(
        fs::metadata(format!("{output}.lock")).map_err(|error| error.kind()).err(),
        Some(std::io::ErrorKind::NotFound)
    );
}
