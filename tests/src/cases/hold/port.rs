//! The server answers the kernel's NFS client and nobody else.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::host::{Host, USERS, assert_held, attacker};
use crate::attempts::port;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![the_build_itself_cannot_talk_to_its_server, another_user_gets_nothing_even_with_the_exports_path,];

const ATTEMPTS: usize = 4;
/// A user of the machine that no view is for.
const STRANGER: u32 = 12_345;

fn the_build_itself_cannot_talk_to_its_server(place: &Place) {
    for user in USERS {
        let place = Place::new(place.directory(user.to_string()), place.ground);
        let host = Host::new(&place, user);
        assert_held(&host.attacked(&place, "port", user, &[]), ATTEMPTS);
        assert_held(&host.attacked(&place, "port", user, &["--net"]), ATTEMPTS);
    }
}

fn another_user_gets_nothing_even_with_the_exports_path(place: &Place) {
    let entry = json!({ "graft": { "at": "/shown", "source": place.directory("shown"), "access": "ro" } });
    let spec = place.file("spec.json", json!({ "entries": [entry] }).to_string());
    let at = place.directory("mnt");
    let loopbox = Loopbox::at(place);
    let mut serving = loopbox
        .command(["mount".as_ref(), spec.as_os_str(), at.as_os_str()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("loopbox can be started");
    let mut stderr = BufReader::new(serving.stderr.take().expect("it is a pipe"));
    stderr.read_line(&mut String::new()).expect("loopbox says that it has mounted");

    let table = fs::read_to_string("/proc/mounts").expect("there is a table of mounts");
    let line = table.lines().find(|line| line.split(' ').nth(1) == at.to_str()).expect("it is mounted");
    let stranger = as_stranger(place, line);
    let known = control(serving.id(), line);
    assert!(TcpStream::connect(server(line)).is_err(), "the server is in the machine's own network");
    kill(Pid::from_raw(serving.id() as i32), Signal::SIGTERM).expect("it runs");
    serving.wait().expect("it can be waited for");

    assert_eq!(known, Ok(true), "the same call is answered when a port says that root makes it");
    assert_held(&stranger, ATTEMPTS);
}

fn as_stranger(place: &Place, line: &str) -> Ran {
    let program = place.path("attacker");
    fs::copy(attacker(), &program).expect("a program can be copied");
    for path in place.dir().ancestors().take(2) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("root can change modes");
    }
    let mut command = Command::new(program);
    command.args(["__attempts", "port", "--server", line]).uid(STRANGER).gid(STRANGER).current_dir("/");
    command.output().expect("the attacker can be started").into()
}

fn server(line: &str) -> SocketAddr {
    port::at(line).expect("the table names the server").0
}

/// Root's own call, from a port that needs privilege in the server's own network: it shows that the records are right.
fn control(serving: u32, line: &str) -> nix::Result<bool> {
    let (server, export) = port::at(line)?;
    let network = network_of(serving);
    let call = move || {
        setns(network, CloneFlags::CLONE_NEWNET)?;
        port::answered(port::privileged(server)?, &port::mount(&export))
    };
    thread::spawn(call).join().expect("it does not panic")
}

/// The network namespace of the thread that takes connections.
fn network_of(process: u32) -> File {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it lives");
    let accepts =
        |task: &Path| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "nfs-accept");
    let task = tasks.flatten().map(|task| task.path()).find(|task| accepts(task)).expect("it serves");
    File::open(task.join("ns/net")).expect("root can open it")
}
