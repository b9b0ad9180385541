//! What a loopbox may leave: processes, mounts, notes, directories.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::loopbox::Loopbox;
use crate::command::{command, text};

/// How long the processes of a killed loopbox may take to be gone: what is inside is killed, and the client shut down, within
/// some tens of milliseconds; the rest is room for a machine under load.
const GONE: Duration = Duration::from_secs(75);
/// Beyond this the wait is told, with what was waited for: it should not have come to that.
const SLOW: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A process, as /proc shows it.
struct Process {
    pid: u32,
    parent: u32,
    state: char,
    user: u32,
    program: Option<std::path::PathBuf>,
    words: String,
}

/// Waits until neither loopbox nor anything that it started for one of these users runs.
pub fn wait_until_gone(users: &[u32]) {
    let start = Instant::now();
    let mut told = false;
    loop {
        let left = left(users);
        if left.is_empty() {
            return;
        }
        if start.elapsed() > SLOW && !told {
            println!("SLOW: after {} s there still are {left:#?}", SLOW.as_secs());
            told = true;
        }
        assert!(start.elapsed() < GONE, "after {} s there still are {left:#?}", GONE.as_secs());
        thread::sleep(LOOK);
    }
}

/// Waits for a loopbox that was asked to end, or killed. The answer is its exit status, if it had one.
pub fn wait_for_end(loopbox: &mut Child, users: &[u32]) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = loopbox.try_wait().expect("it can be waited for") {
            return status.code();
        }
        assert!(start.elapsed() < GONE, "loopbox does not end: {:#?}", left(users));
        thread::sleep(LOOK);
    }
}

/// Waits until a process of one of the users runs whose command line begins so: its number, or none when `ended` says so
/// before.
pub fn wait_for(users: &[u32], start: &str, mut ended: impl FnMut() -> bool) -> Option<u32> {
    loop {
        match find(users, start) {
            None if ended() => return None,
            None => thread::sleep(LOOK),
            found => return found,
        }
    }
}

/// The numbers of all processes of these users.
pub fn of_users(users: &[u32]) -> Vec<u32> {
    let of_one = |process: &&Process| users.contains(&process.user) && process.state != 'Z';
    processes().iter().filter(of_one).map(|process| process.pid).collect()
}

/// The numbers of all processes, whoever's, whose command line begins so.
pub fn all(start: &str) -> Vec<u32> {
    processes().iter().filter(|process| process.words.starts_with(start)).map(|process| process.pid).collect()
}

/// The number of a process of one of the users whose command line begins so.
pub fn find(users: &[u32], start: &str) -> Option<u32> {
    let found = |process: &Process| users.contains(&process.user) && process.words.starts_with(start);
    processes().iter().find(|process| found(process)).map(|process| process.pid)
}

/// Whether a process of one of the users is in a system call that it cannot be interrupted in.
pub fn is_held_up(users: &[u32]) -> bool {
    processes().iter().any(|process| users.contains(&process.user) && process.state == 'D')
}

/// The name of what a loopbox forks its other processes with.
pub const FORK_SERVER: &str = "loopbox-fork";
/// The name of a jail's supervisor.
pub const SUPERVISOR: &str = "loopbox-jail";
/// The name of what serves a view.
pub const SERVER: &str = "loopbox-server";

/// The name of what attends to somebody for the daemon.
pub const ATTENDANT: &str = "loopbox-attend";

/// All processes of a name (proc_pid_comm(5)) that have not ended.
pub fn named(name: &str) -> Vec<u32> {
    let is_named = |process: &&Process| {
        fs::read_to_string(format!("/proc/{}/comm", process.pid)).is_ok_and(|is| is.trim_end() == name)
    };
    let processes = processes();
    processes
        .iter()
        .filter(|process| process.state != 'Z')
        .filter(is_named)
        .map(|process| process.pid)
        .collect()
}

/// What forks the other processes of a loopbox, and those: its supervisors and servers.
pub fn jailers(loopbox: u32) -> Vec<u32> {
    let children = children(loopbox);
    let forked = children.iter().flat_map(|child| self::children(*child)).collect();
    [children, forked].concat()
}

/// The one among them that has a name (proc_pid_comm(5)).
pub fn jailer(loopbox: u32, name: &str) -> Option<u32> {
    let named =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|is| is.trim_end() == name);
    jailers(loopbox).into_iter().find(named)
}

/// A loopbox and all that it has started outside of jails, by whatever process: whoever serves is among them.
pub fn outside_jails(loopbox: u32) -> Vec<u32> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(loopbox);
    let mut found = vec![loopbox];
    let mut looked_at = 0;
    while let Some(parent) = found.get(looked_at).copied() {
        found.extend(children(parent).into_iter().filter(|child| namespace(*child) == own));
        looked_at += 1;
    }
    found
}

/// The users that builds run as.
pub fn build_users() -> Vec<u32> {
    let id = |name: &str| text(&mut command("id", ["-u", name])).ok()?.parse().ok();
    let members = text(&mut command("getent", ["group", "nixbld"])).expect("the machine has build users");
    members.rsplit(':').next().unwrap_or_default().split(',').filter_map(id).collect()
}

/// The children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    processes().iter().filter(|process| process.parent == parent).map(|process| process.pid).collect()
}

/// No note is kept, no temporary directory is there, nothing is mounted.
pub fn assert_none(loopbox: &Loopbox) {
    assert_eq!(names(&loopbox.state), [""; 0], "notes");
    assert_eq!(names(&loopbox.temporary), [""; 0], "temporary directories");
    assert_not_mounted();
    assert_root_writable();
}

/// Whoever unmounts a root by mistake makes the machine's file system read-only.
fn assert_root_writable() {
    let root = nix::sys::statvfs::statvfs("/").expect("there is a root");
    assert!(!root.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY), "the machine's root is read-only");
}

/// No NFS mount of loopbox's is on this machine.
pub fn assert_not_mounted() {
    let table = fs::read_to_string("/proc/self/mounts").expect("there is a table of mounts");
    let mounts: Vec<&str> = table.lines().filter(|line| line.contains(" nfs ")).collect();
    assert_eq!(mounts, [""; 0], "mounts");
}

/// The names in a directory; none when there is no such directory.
pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn left(users: &[u32]) -> Vec<String> {
    let loopbox = Loopbox::program();
    let ours = |process: &Process| {
        process.state != 'Z' && (users.contains(&process.user) || process.program.as_ref() == Some(&loopbox))
    };
    let show = |process: Process| {
        let Process { pid, state, words, .. } = process;
        format!("{pid} ({state}) {words}: {}", waits(pid).join(", "))
    };
    processes().into_iter().filter(ours).map(show).collect()
}

/// Every process; those that end meanwhile are left out.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| process(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// What the threads of a process wait for in the kernel.
fn waits(pid: u32) -> Vec<String> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let wait = |thread: &Path| format!("{} in {}", read(&thread.join("comm")), read(&thread.join("wchan")));
    threads.flatten().map(|thread| wait(&thread.path())).collect()
}

fn process(pid: u32) -> Option<Process> {
    use std::os::unix::fs::MetadataExt;
    let directory = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    // After the program's name, which may hold anything: the state, and the parent's number (proc_pid_stat(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some(Process {
        pid,
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        user: directory.metadata().ok()?.uid(),
        program: fs::read_link(directory.join("exe")).ok(),
        words: fs::read_to_string(directory.join("cmdline")).unwrap_or_default().replace('\0', " "),
    })
}
