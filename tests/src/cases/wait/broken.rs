//! A wire between the kernel's client and a server that breaks, swallows replies, and carries some twice, late or in another
//! order: whoever works over it notices nothing, and nothing is done twice.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mounter::{Mount, MountOptions, Source};
use nfs_server::view::{Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};
use rustix::net::connect_unspec;

use crate::cases::{Place, cases};
use crate::random::Random;

cases![a_wire_that_breaks_and_stutters_loses_nothing_and_does_nothing_twice];

/// How often it has to have broken; half of the times after a call was carried out, whose reply is lost then.
const BREAKS: u64 = 1000;
/// Replies that have to have been carried twice, late, or in another order, and calls that have to have come twice.
const DISTURBED: u64 = 10_000;
/// Workers that use the mount at once: with one alone there is never more than one call on its way.
const WORKERS: usize = 4;
/// The mark of a record's last fragment (RFC 5531, section 11).
const LAST: u32 = 1 << 31;
/// How long a reply is kept back at most for another one to come before it.
const KEPT_BACK: Duration = Duration::from_millis(2);

/// What has been done to the wire.
#[derive(Debug, Default)]
struct Done {
    /// Connections that broke before a call was passed on.
    calls_lost: AtomicU64,
    /// Those that broke before a reply was passed on, of a call that had been carried out.
    replies_lost: AtomicU64,
    calls_twice: AtomicU64,
    replies_twice: AtomicU64,
    replies_late: AtomicU64,
    replies_out_of_order: AtomicU64,
    /// Nothing more is done to it.
    quiet: AtomicBool,
}

/// What happens to a record.
#[derive(Clone, Copy)]
enum Fate {
    Passed,
    Twice,
    Late,
    KeptBack,
    Broken,
}

/// A connection of the client's, and the one to the server that goes with it.
struct Wire {
    client: TcpStream,
    server: TcpStream,
    done: Arc<Done>,
}

fn a_wire_that_breaks_and_stutters_loses_nothing_and_does_nothing_twice(place: &Place) {
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
    let rounds: usize = thread::scope(|scope| {
        let work = |worker: usize| {
            let (at, done) = (at.join(worker.to_string()), &done);
            scope.spawn(move || work(&at, done))
        };
        let workers: Vec<_> = (0..WORKERS).map(work).collect();
        workers.into_iter().map(|worker| worker.join().expect("nobody notices anything")).sum()
    });
    done.quiet.store(true, Ordering::Relaxed);
    for worker in 0..WORKERS {
        check(&at.join(worker.to_string()));
    }
    mount.unmount().expect("everything was written");
    for worker in 0..WORKERS {
        check(&behind.join(worker.to_string()));
    }
    println!("{rounds} rounds; {done:?}; {} calls", server.stop().total());
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

impl Done {
    fn broken(&self) -> u64 {
        self.calls_lost.load(Ordering::Relaxed) + self.replies_lost.load(Ordering::Relaxed)
    }

    fn disturbed(&self) -> u64 {
        [&self.calls_twice, &self.replies_twice, &self.replies_late, &self.replies_out_of_order]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    fn is_enough(&self) -> bool {
        self.broken() >= BREAKS && self.disturbed() >= DISTURBED
    }
}

/// Listens in the server's place.
fn listen(server: SocketAddr, done: &Arc<Done>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let done = Arc::clone(done);
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let client = client.expect("a connection");
            let server = TcpStream::connect(server).expect("the server listens");
            for stream in [&client, &server] {
                stream.set_nodelay(true).expect("it is a TCP socket");
            }
            let wire = Arc::new(Wire { client, server, done: Arc::clone(&done) });
            let seed = 2 * number as u64 + 1;
            let calls = Arc::clone(&wire);
            thread::spawn(move || calls.carry_calls(Random::new(seed)));
            thread::spawn(move || wire.carry_replies(Random::new(seed + 1)));
        }
    });
    address
}

impl Wire {
    fn carry_calls(&self, mut random: Random) {
        while let Some(record) = receive(&self.client) {
            let sent = match self.fate(&mut random) {
                Fate::Broken => {
                    self.done.calls_lost.fetch_add(1, Ordering::Relaxed);
                    self.break_off();
                    return;
                }
                Fate::Twice => {
                    self.done.calls_twice.fetch_add(1, Ordering::Relaxed);
                    (&self.server).write_all(&record).and_then(|()| (&self.server).write_all(&record))
                }
                _ => (&self.server).write_all(&record),
            };
            if sent.is_err() {
                break;
            }
        }
        // The client has gone, or the other direction has broken off.
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn carry_replies(&self, mut random: Random) {
        let mut kept_back = VecDeque::new();
        loop {
            if !kept_back.is_empty() && !self.answers_within(KEPT_BACK) {
                if self.pass_on(&mut kept_back).is_err() {
                    break;
                }
                continue;
            }
            let Some(record) = receive(&self.server) else { break };
            let overtaken = kept_back.len() as u64;
            match self.fate(&mut random) {
                Fate::Broken => {
                    self.done.replies_lost.fetch_add(1, Ordering::Relaxed);
                    self.break_off();
                    return;
                }
                Fate::KeptBack => {
                    kept_back.push_back(record);
                    continue;
                }
                Fate::Twice => {
                    self.done.replies_twice.fetch_add(1, Ordering::Relaxed);
                    kept_back.push_front(record.clone());
                }
                Fate::Late => {
                    self.done.replies_late.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(KEPT_BACK / 4);
                }
                Fate::Passed => {}
            }
            self.done.replies_out_of_order.fetch_add(overtaken, Ordering::Relaxed);
            kept_back.push_front(record);
            if self.pass_on(&mut kept_back).is_err() {
                break;
            }
        }
        self.break_off();
    }

    fn pass_on(&self, records: &mut VecDeque<Vec<u8>>) -> std::io::Result<()> {
        records.drain(..).try_for_each(|record| (&self.client).write_all(&record))
    }

    fn answers_within(&self, time: Duration) -> bool {
        self.server.set_read_timeout(Some(time)).expect("a time that is not zero");
        let peeked = self.server.peek(&mut [0]);
        self.server.set_read_timeout(None).expect("it is a socket");
        !peeked.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// By a reset: after an orderly end the kernel's client waits for three seconds before it connects again.
    fn break_off(&self) {
        // One of them may have ended already.
        let _ = connect_unspec(&self.client);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn fate(&self, random: &mut Random) -> Fate {
        if self.done.quiet.load(Ordering::Relaxed) {
            return Fate::Passed;
        }
        match random.below(200) {
            0 => Fate::Broken,
            1..20 => Fate::Twice,
            20..30 => Fate::Late,
            30..40 => Fate::KeptBack,
            _ => Fate::Passed,
        }
    }
}

/// A record with its mark; none at the end of the connection, whatever ended it.
fn receive(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut record = vec![0; 4];
    from.read_exact(&mut record).ok()?;
    let mark = u32::from_be_bytes(record.as_slice().try_into().ok()?);
    assert!(mark & LAST != 0, "a record of several fragments");
    record.resize(4 + (mark & !LAST) as usize, 0);
    from.read_exact(&mut record[4..]).ok()?;
    Some(record)
}
