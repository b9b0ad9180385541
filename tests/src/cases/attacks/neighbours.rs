//! What is the machine's besides files, and other builds'.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, gethostname, sethostname};

use super::{Outcome, USER, World, attacks};
use crate::cases::clean::traces;
use crate::cases::loopbox::Ran;

/// What a listener of the machine's says to whoever comes.
const GREETING: &str = "welcome, neighbour";
/// What the machine would be called.
const NAME: &str = "attacked";
/// How long what survives sleeps, in seconds: by this it is found.
const SURVIVES: &str = "4711";

/// A line of busybox's shell as this user.
fn shell(world: &World, user: u32, line: &str) -> Ran {
    let user = user.to_string();
    world.loopbox.run([
        "run",
        "--uid",
        &user,
        "--with",
        "/bin/busybox",
        "--",
        "/bin/busybox",
        "sh",
        "-c",
        line,
    ])
}

attacks! {
    host_name, "the machine's name", [HostName, UserNamespace], name_machine;
    objects, "System V objects of the machine", [IpcNamespace], find_object;
    network, "a service on the machine's loopback interface", [Network], connect;
    survivor, "a process that stays when its session has ended", [ProcessNamespace], survive;
}

fn name_machine(world: &World) -> Outcome {
    let before = gethostname().expect("it has a name");
    let ran = shell(world, 0, &format!("/bin/busybox hostname {NAME}"));
    let now = gethostname().expect("it has a name");
    sethostname(&before).expect("root names it");
    Outcome::when(now == NAME, format!("{}, {now:?}", ran.told()))
}

/// Memory that everybody may use, of a program outside.
fn find_object(world: &World) -> Outcome {
    let made = world.place.shell("ipcmk -M 4096 -p 0666");
    let id = made.split_whitespace().last().expect("it says which").to_owned();
    let ran = shell(world, USER, "/bin/busybox cat /proc/sysvipc/shm");
    world.place.shell(&format!("ipcrm -m {id}"));
    assert!(ran.stdout.contains("shmid"), "{}", ran.told());
    let found = ran.stdout.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some(&id));
    Outcome::when(found, ran.stdout)
}

fn connect(world: &World) -> Outcome {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it has one").port();
    let greet = move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        // Whoever only ends this does not read it.
        let _ = stream.write_all(GREETING.as_bytes());
    };
    let greeting = thread::spawn(greet);
    let ran = shell(world, USER, &format!("/bin/busybox nc -w 2 127.0.0.1 {port} < /dev/null"));
    drop(std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    greeting.join().expect("it does not panic");
    Outcome::when(ran.stdout.contains(GREETING), ran.told())
}

fn survive(world: &World) -> Outcome {
    let line = format!("/bin/busybox sleep {SURVIVES} > /dev/null 2>&1 < /dev/null & echo left");
    let ran = shell(world, USER, &line);
    let left = traces::all(&format!("/bin/busybox sleep {SURVIVES}"));
    for process in &left {
        // It may end in this moment.
        let _ = kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL);
    }
    Outcome::when(!left.is_empty(), format!("{}, {left:?}", ran.told()))
}
