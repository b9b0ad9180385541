//! `loopbox status`: what lives, and what it has done.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cases::loopbox::Loopbox;
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![a_session_says_what_it_does, nothing_lives_where_nothing_runs, another_backend_counts_nothing];

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// As large as two READs and WRITEs at least.
const SIZE: usize = 3 << 20;

/// What lives, until it is as it is to be.
pub fn sessions_until(loopbox: &Loopbox, is_so: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let told: Value = serde_json::from_str(&loopbox.good(["status", "--json"])).expect("it is JSON");
        let sessions = told["sessions"].as_array().expect("it is a list").clone();
        if is_so(&sessions) {
            return sessions;
        }
        assert!(began.elapsed() < PATIENCE, "{sessions:#?}");
    }
}

/// Starts a copy that then waits for a line.
fn copies(place: &Place, loopbox: &Loopbox, backend: &str) -> Child {
    let file = place.file("file", vec![b'x'; SIZE]);
    let work = place.directory("work");
    std::os::unix::fs::chown(&work, Some(USER), Some(USER)).expect("root gives it away");
    let user = USER.to_string();
    let words =
        ["run", "--backend", backend, "--uid", &user, "--gid", &user, "--with", "sh", "--with", "cat"];
    let mut command = loopbox.command(words);
    command.arg("--ro").arg(&file).arg("--rw").arg(&work).args(["--", "sh", "-c"]);
    command.arg(format!("cat {} > {}/copy; read line", file.display(), work.display()));
    command.stdin(Stdio::piped()).spawn().expect("loopbox can be started")
}

fn end(mut run: Child) {
    run.stdin.take().expect("it is a pipe").write_all(b"line\n").expect("it is read");
    assert!(run.wait().expect("it ends").success());
}

fn a_session_says_what_it_does(place: &Place) {
    let loopbox = Loopbox::at(place);
    let run = copies(place, &loopbox, "nfs");
    let written =
        |sessions: &[Value]| sessions.iter().any(|session| session["served"]["bytesWritten"] == SIZE);
    let [session] = &sessions_until(&loopbox, written)[..] else { panic!("one session") };
    assert_eq!(session["pid"], run.id());
    let served = &session["served"];
    assert_eq!(served["uid"], USER);
    assert!(served["program"].as_str().expect("a path").ends_with("/sh"), "{served}");
    assert!(served["bytesRead"].as_u64().expect("a number") >= SIZE as u64, "{served}");
    assert!(served["nfsCalls"]["WRITE"].as_u64().expect("a number") >= 3, "{served}");
    assert!(served["serverMemory"].as_u64().expect("a number") > 1 << 20, "{served}");
    assert!(session["callsPerSecond"].is_number(), "{session}");
    let table = loopbox.good(["status"]);
    let line = table.lines().nth(1).unwrap_or_else(|| panic!("{table}"));
    assert!(table.contains("calls/s") && line.contains("/sh") && line.contains("3.00 MiB"), "{table}");
    end(run);
    assert_eq!(loopbox.good(["status"]), "no sessions");
    assert_eq!(place.names("state"), [""; 0]);
}

fn nothing_lives_where_nothing_runs(place: &Place) {
    let loopbox = Loopbox::at(place);
    assert_eq!(loopbox.good(["status"]), "no sessions");
    assert_eq!(
        loopbox.good(["status", "--json"]).split_whitespace().collect::<String>(),
        r#"{"sessions":[]}"#
    );
}

fn another_backend_counts_nothing(place: &Place) {
    let loopbox = Loopbox::at(place);
    let run = copies(place, &loopbox, "bind");
    let [session] = &sessions_until(&loopbox, |sessions| !sessions.is_empty())[..] else {
        panic!("one session")
    };
    assert_eq!((&session["pid"], &session["served"]), (&run.id().into(), &Value::Null));
    end(run);
}
