//! Other users of the machine: by the daemon, and by what root's own loopbox takes from the one who starts it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, recv};
use serde_json::json;

use super::{Outcome, USER, World, attacks};
use crate::cases::clean::traces;
use crate::cases::hold::host::attacker;
use crate::cases::loopbox::Ran;
use crate::cases::nix::daemon::ORDINARY;
use crate::cases::nix::daemon::hostile::{answered, connect, device_request};
use crate::cases::nix::daemon::runs::Lent;
use crate::cases::pty::Pty;

/// More sessions than a user may have.
const SILENT: usize = 100;
const SESSIONS: usize = 32;
/// How long it may take until each of them is attended to or refused.
const PATIENCE: Duration = Duration::from_secs(60);
/// What only root may read.
const SECRET: &str = "the secret";

attacks! {
    as_root, "a user's session as root", [AskingUser], |world| {
        let directory = world.place.directory("roots");
        let secret = world.place.file("roots/secret", SECRET);
        for path in [&directory, &secret] {
            fs::set_permissions(path, Permissions::from_mode(0o700)).expect("it is root's");
        }
        let lent = Lent::start_as(&world.place, &world.loopbox, "");
        let shown = format!("{}:/roots", directory.display());
        let words = ["--uid", "0", "--gid", "0", "--ro", &shown, "--with", "/bin/busybox", "--", "/bin/busybox", "cat", "/roots/secret"];
        let ran = output(&mut lent.run(&words));
        Outcome::when(ran.stdout.contains(SECRET), ran.told())
    };
    device, "a disk of the machine's in a user's session", [Devices], |world| {
        let _lent = Lent::start_as(&world.place, &world.loopbox, "");
        let said = answered(&world.place, &device_request(8, 0));
        Outcome::when(said.contains("Opened"), said)
    };
    sessions, "a hundred sessions of one user", [Attendants], |world| {
        let _lent = Lent::start_as(&world.place, &world.loopbox, "");
        let silent: Vec<UnixStream> = (0..SILENT).map(|_| connect(&world.place)).collect();
        let attendants = most_attendants(&silent);
        drop(silent);
        Outcome::when(attendants > SESSIONS, format!("{attendants} attendants"))
    };
    state, "a record of somebody else's in the state directory", [StateDirectory], forge_record;
    stream, "the mode of a file that the caller passed as standard input", [Streams], change_stream;
    terminal, "the settings of the caller's terminal", [Terminal, Streams], |world| {
        let words = ["run", "--with", "bash", "--with", "stty", "--", "stty", "-echo", "rows", "17"];
        let command = world.loopbox.command(words);
        let mut shell = Command::new("sh");
        shell.args(["-c", "\"$@\"; stty -a", "sh"]).arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let (_, shown) = Pty::start(&shell).end();
        assert!(shown.contains("echo"), "{shown:?}");
        Outcome::when(shown.contains("-echo ") && shown.contains("rows 17"), format!("{shown:?}"))
    };
    typed, "what somebody types at the caller's terminal", [Terminal, Streams, OwnSession], type_for_others;
    exchanged_session, "the directory of a session of root's, in a user's directory", [SafeDirectories], exchange_session;
    set_id_of_the_machine, "a set-id program of the machine's", [SetIdBits, MountOptions, NewPrivileges], execute_set_id;
}

/// The most attendants at a time until each of these connections has one or an answer.
fn most_attendants(connections: &[UnixStream]) -> usize {
    let is_answered = |connection: &&UnixStream| {
        recv(connection.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT).is_ok()
    };
    let (mut most, began) = (0, Instant::now());
    loop {
        let attendants = traces::named(traces::ATTENDANT).len();
        most = most.max(attendants);
        let answered = connections.iter().filter(is_answered).count();
        if attendants + answered >= connections.len() {
            return most;
        }
        assert!(began.elapsed() < PATIENCE, "{attendants} attendants, {answered} answers");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Under sudo, `LOOPBOX_STATE_DIR` may be the user's choice: whatever records in there name would be removed.
fn forge_record(world: &World) -> Outcome {
    let (state, victim) = (world.place.directory("state"), world.place.directory("victim"));
    let record = json!({
        "owner": { "pid": 1, "started": 1 },
        "leftovers": { "mount": null, "temporary": [victim] },
    });
    fs::write(state.join("1.json"), record.to_string()).expect("it can be written");
    chown(&state, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
    let ran = world.loopbox.run(["clean"]);
    Outcome::when(!victim.exists(), ran.told())
}

/// A shell reads from its terminal after a command, as if somebody had typed.
fn type_for_others(world: &World) -> Outcome {
    // Since Linux 6.2 a machine can refuse it to everybody; not all do.
    let refused = "/proc/sys/dev/tty/legacy_tiocsti";
    if fs::exists(refused).expect("it can be looked for") {
        fs::write(refused, "1").expect("root can set it");
    }
    let program = attacker();
    let words =
        ["run", "--uid", &USER.to_string(), "--with", &program, "--", &program, "__other", "type", "OWNED\n"];
    let command = world.loopbox.command(words);
    let mut shell = Command::new("bash");
    let script = "stty -echo; \"$@\"; echo \"exit status $?\"; read -t 3 line; echo \"read: $line.\"";
    shell.args(["-c", script, "bash"]).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (_, shown) = Pty::start(&shell).end();
    assert!(shown.contains("read: "), "{shown:?}");
    Outcome::when(shown.contains("read: OWNED."), format!("{shown:?}"))
}

/// Under sudo, `TMPDIR` may be the user's choice. Whoever may rename what lies there can have root remove something else.
fn exchange_session(world: &World) -> Outcome {
    let users = world.place.directory("users");
    chown(&users, Some(ORDINARY), Some(ORDINARY)).expect("root gives it away");
    let roots = world.place.directory("users/roots");
    fs::set_permissions(&roots, Permissions::from_mode(0o755)).expect("it is root's");
    let victim = world.place.file("users/roots/file", "root's");
    let mut command = world.loopbox.command(["run", "--with", "/bin/busybox", "--", "/bin/busybox", "cat"]);
    command.env("TMPDIR", &users).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().expect("loopbox can be started");
    let mut stdin = running.stdin.take().expect("it is a pipe");
    // Who has been refused reads nothing.
    let _ = stdin.write_all(b"begun\n");
    let mut line = String::new();
    let mut stdout = BufReader::new(running.stdout.take().expect("it is a pipe"));
    stdout.read_line(&mut line).expect("it can be read");
    let session = fs::read_dir(&users).expect("it can be listed").flatten();
    let session = session.map(|entry| entry.path()).find(|path| !path.ends_with("roots"));
    if let Some(session) = session {
        fs::rename(&session, world.place.path("users/aside")).expect("its owner can rename it");
        fs::rename(&roots, &session).expect("its owner can rename it");
    }
    drop(stdin);
    let ran = Ran::from(running.wait_with_output().expect("it ends"));
    let is_left = victim.exists()
        || fs::read_dir(&users)
            .expect("it can be listed")
            .flatten()
            .any(|entry| entry.path().join("file").exists());
    match (is_left, ran.stderr.contains("others can exchange what is in")) {
        (false, _) => Outcome::Succeeded(ran.told()),
        (true, true) => Outcome::Held(ran.told()),
        (true, false) => Outcome::Failed(ran.told()),
    }
}

/// What is user 0 inside may change what belongs to user 0.
fn change_stream(world: &World) -> Outcome {
    let file = world.place.file("input", "lines");
    let before = fs::metadata(&file).expect("it is there").mode();
    let words = [
        "run",
        "--uid",
        "0",
        "--with",
        "/bin/busybox",
        "--",
        "/bin/busybox",
        "chmod",
        "0777",
        "/proc/self/fd/0",
    ];
    let mut command = world.loopbox.command(words);
    let ran = output(command.stdin(fs::File::open(&file).expect("it can be read")));
    let now = fs::metadata(&file).expect("it is there").mode();
    Outcome::when(now != before, format!("{}, {now:o}", ran.told()))
}

/// This program, as root's set-id program, says who it is.
fn execute_set_id(world: &World) -> Outcome {
    let program = world.place.directory("graft").join("program");
    fs::copy(attacker(), &program).expect("it can be copied");
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).expect("it is root's");
    let (shown, with) = (format!("{}:/graft", world.place.path("graft").display()), attacker());
    let user = USER.to_string();
    let words = [
        "run",
        "--uid",
        &user,
        "--ro",
        &shown,
        "--with",
        &with,
        "--",
        "/graft/program",
        "__attempts",
        "set-id",
        "--one",
        "being root",
    ];
    World::judge(&world.loopbox.run(words))
}

fn output(command: &mut Command) -> Ran {
    command.output().expect("loopbox can be started").into()
}
