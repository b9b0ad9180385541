//! Whoever works over a wire that breaks and stutters notices nothing, and nothing is done twice.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use mounter::{Mount, MountOptions, Source};
use nfs_server::view::{Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};
use sha2::{Digest, Sha256};

use super::wire::{Done, listen};
use crate::cases::{Place, cases};

cases![
    a_wire_that_breaks_and_stutters_loses_nothing_and_does_nothing_twice,
    what_is_compiled_over_such_a_wire_is_the_same,
];

/// Workers that use the mount at once: with one alone there is never more than one call on its way.
const WORKERS: usize = 4;
/// Files of a program that is compiled, and headers that each of them includes.
const SOURCES: usize = 4;
const HEADERS: usize = 60;
/// Compiles and links it, two files at a time.
const COMPILE: &str = "mkdir objects; \
    for n in $(seq 0 2 3); do for m in $n $((n + 1)); do gcc -O1 -c source$m.c -o objects/$m.o & done; wait; done; \
    ar rc objects/all.a objects/*.o; gcc -Wl,--build-id=none -o objects/program objects/0.o objects/all.a; ./objects/program";

/// A directory that is mounted over such a wire, and the same behind the server.
struct Mounted {
    mount: Mount,
    at: PathBuf,
    behind: PathBuf,
    server: Server,
    done: Arc<Done>,
}

impl Mounted {
    fn new(place: &Place) -> Mounted {
        let (behind, at) = (place.directory("behind"), place.directory("at"));
        let owner = Owner { uid: 0, gid: 0 };
        let entry = Entry::Scratch { at: "/".into(), source: behind.clone(), mode: 0o755, owner };
        let view = View::open(&ViewSpec { entries: vec![entry] }, None).expect("the view can be opened");
        let options = ServerOptions::new(Users::Any, Peers::Anyone);
        let server = Server::start(Arc::new(view), options).expect("it can be served");
        let done = Arc::new(Done::default());
        let addr = listen(server.addr(), &done);
        let source = Source { addr, export: server.export().to_owned(), namespace: None };
        let mount = Mount::new(&source, &at, &MountOptions::default()).expect("it can be mounted");
        Mounted { mount, at, behind, server, done }
    }

    /// Takes it away, when nothing more is done to the wire and what is there was looked at; and looks at it once more.
    fn end(self, rounds: usize, check: impl Fn(&Path)) {
        self.done.quiet.store(true, Ordering::Relaxed);
        check(&self.at);
        self.mount.unmount().expect("everything was written");
        check(&self.behind);
        println!("{rounds} rounds; {:?}; {} calls", self.done, self.server.stop().total());
    }
}

fn a_wire_that_breaks_and_stutters_loses_nothing_and_does_nothing_twice(place: &Place) {
    let mounted = Mounted::new(place);
    let rounds: usize = thread::scope(|scope| {
        let work = |worker: usize| {
            let (at, done) = (mounted.at.join(worker.to_string()), &mounted.done);
            scope.spawn(move || work(&at, done))
        };
        let workers: Vec<_> = (0..WORKERS).map(work).collect();
        workers.into_iter().map(|worker| worker.join().expect("nobody notices anything")).sum()
    });
    mounted.end(rounds, |at| (0..WORKERS).for_each(|worker| check(&at.join(worker.to_string()))));
}

fn what_is_compiled_over_such_a_wire_is_the_same(place: &Place) {
    let plain = place.directory("plain");
    let expected = compile(&plain);
    let mounted = Mounted::new(place);
    let mut rounds = 0;
    while !mounted.done.is_enough() {
        assert_eq!(compile(&mounted.at), expected);
        rounds += 1;
    }
    mounted.end(rounds, |at| assert_eq!(hash(at), expected));
}

/// Sources of a program that says how many there are, anew.
fn write_program(at: &Path) {
    for entry in fs::read_dir(at).expect("it can be listed") {
        let path = entry.expect("a name").path();
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.expect("it can be removed");
    }
    let write = |name: String, text: String| fs::write(at.join(name), text).expect("it can be written");
    for header in 0..HEADERS {
        let comment = format!("/* {} */\n", "as long as headers are, and longer; ".repeat(40));
        write(format!("header{header}.h"), format!("{comment}enum {{ HEADER_{header} = {header} }};\n"));
    }
    let includes: String = (0..HEADERS).map(|header| format!("#include \"header{header}.h\"\n")).collect();
    for source in 0..SOURCES {
        let next = (source + 1) % SOURCES;
        let last = if next == 0 { "HEADER_1".into() } else { format!("HEADER_1 + count{next}()") };
        let main = if source == 0 { "int main(void) { return count0() != 4; }\n" } else { "" };
        let text =
            format!("{includes}int count{next}(void);\nint count{source}(void) {{ return {last}; }}\n{main}");
        write(format!("source{source}.c"), text);
    }
}

/// Writes the program and compiles it; its hash.
fn compile(at: &Path) -> String {
    write_program(at);
    let script = format!("set -e; cd '{}'; {COMPILE}", at.display());
    let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    hash(at)
}

fn hash(at: &Path) -> String {
    format!("{:x?}", Sha256::digest(fs::read(at.join("objects/program")).expect("it was linked")))
}

/// Changes names and files until enough has been done to the wire, each change a call that must not be carried out twice; how many
/// rounds that took. The last one stays.
fn work(at: &Path, done: &Done) -> usize {
    fs::create_dir(at).expect("mkdir");
    for round in 0.. {
        let kept = at.join("kept");
        if round > 0 {
            fs::remove_dir_all(&kept).expect("rm -r");
        }
        let new = at.join("new");
        fs::create_dir(&new).expect("mkdir");
        let text = text(round);
        let mut file = File::create_new(new.join("file")).expect("open with O_EXCL");
        file.write_all(text.as_bytes()).expect("write");
        file.sync_all().expect("fsync");
        drop(file);
        fs::hard_link(new.join("file"), new.join("link")).expect("link");
        fs::rename(new.join("file"), new.join("renamed")).expect("rename");
        symlink("renamed", new.join("symlink")).expect("symlink");
        fs::remove_file(new.join("link")).expect("unlink");
        fs::rename(&new, &kept).expect("rename of a directory");
        assert_eq!(fs::read_to_string(kept.join("symlink")).expect("read"), text);
        fs::write(at.join("round"), round.to_string()).expect("write");
        if done.is_enough() {
            return round + 1;
        }
    }
    unreachable!("it goes on until it returns")
}

fn text(round: usize) -> String {
    format!("round {round}\n").repeat(1000)
}

/// What the last round has left, and nothing else.
fn check(at: &Path) {
    let names = |directory: &Path| {
        let names = fs::read_dir(directory).expect("it can be listed");
        let mut names: Vec<_> = names.map(|entry| entry.expect("a name").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(at), ["kept", "round"]);
    assert_eq!(names(&at.join("kept")), ["renamed", "symlink"]);
    let round = fs::read_to_string(at.join("round")).expect("read").parse().expect("a number");
    assert_eq!(fs::read_to_string(at.join("kept/renamed")).expect("read"), text(round));
}
