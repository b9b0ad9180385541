//! The server's protocol, spoken to it by others than the kernel's client: by root from the server's own network, as if somebody
//! had got there.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::{Outcome, USER, World, attacks};
use crate::attempts::port;
use crate::cases::clean::traces;
use crate::cases::hold::host::attacker;
use crate::cases::hold::take_over::mounted_for_all;
use crate::fuzz::records;

/// More than a server takes at once, and fewer than a process may have.
const CONNECTIONS: usize = 200;
/// What a server takes at once, and some more.
const TAKEN_MAX: usize = 40;
/// Connections that have sent a part of a call, and those that were not waited for.
const SLOW: usize = 100;
const HALF_OPEN: usize = 10_000;
/// How many files who makes those may have.
const FILES: u64 = 20_000;
/// How long the client is given to come to who waits on its server's port: it tries again after three seconds.
const COMES: Duration = Duration::from_secs(6);
/// A server that keeps silent for so long does not answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// A user that no view is for.
const STRANGER: u32 = 12_345;
/// How long the proof at the end of a handle is.
const PROOF: usize = 16;
/// Where a call's user is, in bytes from its beginning.
const UID: usize = 44;

attacks! {
    unprivileged, "a connection from a port that everybody may use", [PeerPorts], |world| {
        let session = Session::start(world);
        let address = session.address;
        session.judge(session.within(move || ask(&mut TcpStream::connect(address)?, &records::null())))
    };
    from_the_machine, "a connection from the machine's own network", [ServerNetwork], |world| {
        let session = Session::start(world);
        let reply = port::privileged(session.address).map_err(std::io::Error::from);
        session.judge(reply.and_then(|mut stream| ask(&mut stream, &records::null())))
    };
    null_from_inside, "a connection from inside a view that has the machine's network", [ServerNetwork, PeerPorts],
        |world| world.attempt(USER, "port", "NULL", &["--net"]);
    mount_from_inside, "mounting the export from there", [ServerNetwork, PeerPorts],
        |world| world.attempt(USER, "port", "MNT of the export", &["--net"]);
    port_from_inside, "a port of the kernel's from there", [ServerNetwork, UserNamespace],
        |world| world.attempt(0, "port", "a port of the kernel's", &["--net"]);
    guessed_export, "mounting an export without its path", [ExportPath], |world| {
        let session = Session::start(world);
        session.call(|stream| ask(stream, &records::mount("/")))
    };
    strangers_call, "a call by a user that the view is not for", [Callers], |world| {
        let session = Session::start(world);
        let export = session.export.clone();
        session.call(move |stream| {
            let root = mounted(stream, &export)?;
            ask(stream, &by(STRANGER, records::getattr(&root)))
        })
    };
    flipped_handle, "a handle with one bit changed", [HandleProof], |world| {
        let session = Session::start(world);
        let export = session.export.clone();
        session.call(move |stream| {
            let mut handle = mounted(stream, &export)?;
            *handle.last_mut().ok_or(std::io::ErrorKind::InvalidData)? ^= 1;
            ask(stream, &records::getattr(&handle))
        })
    };
    unproved_handle, "a handle of a file that is there, without its proof", [HandleProof], |world| {
        let session = Session::start(world);
        let export = session.export.clone();
        session.call(move |stream| {
            let mut handle = mounted(stream, &export)?;
            let length = handle.len();
            handle[length - PROOF..].fill(0);
            ask(stream, &records::getattr(&handle))
        })
    };
    foreign_handle, "a handle of another session", [HandleProof], |world| {
        let (one, other) = (Session::start(world), Session::start(world));
        let export = one.export.clone();
        let handle = one.within(move || {
            let mut stream = port::privileged(one.address)?;
            mounted(&mut stream, &export)
        });
        let handle = handle.expect("the session's own handle");
        other.call(move |stream| ask(stream, &records::getattr(&handle)))
    };
    endless_record, "a call of 2^31 bytes", [RecordSize], |world| {
        let session = Session::start(world);
        let ended = session.within({
            let address = session.address;
            move || endless(&mut port::privileged(address)?)
        });
        Outcome::when(ended.as_ref().is_ok_and(|ended| !ended), format!("{ended:?}"))
    };
    slow_senders, "connections that send a call's first bytes, and wait", [PeerPorts], |world| crowd(world, |address| {
        let send = |_| TcpStream::connect(address).and_then(|mut stream| stream.write_all(&[0x80, 0]).map(|()| stream.into()));
        (0..SLOW).flat_map(send).collect()
    });
    half_open, "ten thousand connections, none of which is waited for", [PeerPorts],
        |world| crowd(world, |address| (0..HALF_OPEN).map(|_| begun(address)).collect());
    hijacked, "an answer to a client whose server has ended", [ServerNetwork, EndedClients], |world| hijack(world, Signal::SIGTERM);
    hijacked_at_once, "an answer to a client whose server was killed", [ServerNetwork], |world| hijack(world, Signal::SIGKILL);
    many_connections, "two hundred connections at once", [Connections], |world| {
        let session = Session::start(world);
        let address = session.address;
        let taken = session.within(move || {
            let streams: Vec<TcpStream> = (0..CONNECTIONS).filter_map(|_| port::privileged(address).ok()).collect();
            let answered = |mut stream: TcpStream| ask(&mut stream, &records::null()).is_ok().then_some(stream);
            streams.into_iter().filter_map(answered).collect::<Vec<_>>().len()
        });
        Outcome::when(taken > TAKEN_MAX, format!("{taken} of {CONNECTIONS} were answered"))
    };
}

/// Sends the beginning of a record that is the longest that can be announced; whether the server has ended the connection.
fn endless(stream: &mut TcpStream) -> std::io::Result<bool> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&u32::MAX.to_be_bytes())?;
    stream.write_all(&[0; 4096])?;
    match stream.read(&mut [0]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Ok(1..) => Err(ErrorKind::InvalidData.into()),
        Ok(0) | Err(_) => Ok(true),
    }
}

/// A connection that was asked for, whatever becomes of it.
fn begun(address: SocketAddr) -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let own = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
    let server = SockaddrIn::new(127, 0, 0, 1, address.port());
    assert!(matches!(connect(own.as_raw_fd(), &server), Ok(()) | Err(Errno::EINPROGRESS)));
    own
}

/// Whether connections of everybody's keep who has a port of the kernel's from an answer.
fn crowd(world: &World, connect: fn(SocketAddr) -> Vec<OwnedFd>) -> Outcome {
    setrlimit(Resource::RLIMIT_NOFILE, FILES, FILES).expect("root can have more files");
    let session = Session::start(world);
    let address = session.address;
    let answer = session.within(move || {
        let held = connect(address);
        let answer = ask(&mut port::privileged(address)?, &records::null());
        drop(held);
        answer
    });
    Outcome::when(answer.is_err(), format!("{answer:x?}"))
}

/// Ends the server of a mount, and listens where it did: what the client sends then is answered by whoever gets it.
fn hijack(world: &World, end: Signal) -> Outcome {
    world.place.directory("shown");
    let (mut serving, line) = mounted_for_all(&world.place, &world.loopbox);
    let (server, _) = port::at(&line).expect("the table names the server");
    let at = world.place.path("mnt");
    let kept = File::open(at.join("shown")).expect("it can be opened");
    kill(Pid::from_raw(serving.id().cast_signed()), end).expect("it runs");
    // The client comes back at once, and if nobody is there, only seconds later.
    let false_server = bound(server);
    serving.wait().expect("it can be waited for");
    false_server.set_nonblocking(true).expect("it need not wait");
    let asking = thread::spawn(move || openat(&kept, "other", OFlag::O_RDONLY, Mode::empty()).map(drop));
    let start = Instant::now();
    let mut heard = None;
    while heard.is_none() && start.elapsed() < COMES {
        heard = false_server.accept().ok().and_then(|(stream, _)| answer_falsely(stream).ok());
        thread::sleep(Duration::from_millis(20));
    }
    let succeeded = heard.is_some();
    while !asking.is_finished() && start.elapsed() < COMES + PATIENCE {
        // It is gone already, or it is the only way to end what waits for a server that nobody is.
        let _ = umount2(&at, MntFlags::MNT_FORCE);
        heard =
            heard.or_else(|| false_server.accept().ok().and_then(|(stream, _)| answer_falsely(stream).ok()));
        thread::sleep(Duration::from_millis(20));
    }
    let _ = umount2(&at, MntFlags::MNT_DETACH);
    // Where a client still waits, this process's end is what ends it.
    let answer = asking.is_finished().then(|| asking.join().expect("it does not panic"));
    Outcome::when(succeeded, format!("{answer:?}"))
}

/// Listens where another process does, as soon as that has ended.
fn bound(address: SocketAddr) -> TcpListener {
    let start = Instant::now();
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(start.elapsed() < COMES, "the port is free: {error}"),
        }
        thread::yield_now();
    }
}

/// Says of the first call that there is no such procedure.
fn answer_falsely(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let words: [u32; 7] =
        [1 << 31 | 24, u32::from_be_bytes([head[4], head[5], head[6], head[7]]), 1, 0, 0, 0, 3];
    stream.write_all(&words.map(u32::to_be_bytes).concat())?;
    Ok(stream)
}

/// A program that waits in a view, and what serves that. Dropped, it ends.
struct Session {
    loopbox: Child,
    /// Kept open, as the program's.
    _stdout: ChildStdout,
    address: SocketAddr,
    export: String,
    /// The server's network.
    network: File,
}

impl Session {
    fn start(world: &World) -> Session {
        let program = attacker();
        let before = traces::named(traces::SERVER);
        let user = USER.to_string();
        let words = [
            "run",
            "--uid",
            &user,
            "--with",
            &program,
            "--with",
            "/bin/busybox",
            "--",
            "/bin/busybox",
            "cat",
            "/proc/self/mounts",
            "-",
        ];
        let mut loopbox: Command = world.loopbox.command(words);
        let mut loopbox =
            loopbox.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("loopbox can be started");
        let mut table = String::new();
        let mut stdout = loopbox.stdout.take().expect("it is a pipe");
        let mut some = [0; 4096];
        let (address, export) = loop {
            let count = stdout.read(&mut some).expect("it can be read");
            assert!(count > 0, "the table has no view: {table}");
            table.push_str(&String::from_utf8_lossy(&some[..count]));
            if let (Ok(found), true) = (port::at(&table), table.ends_with('\n')) {
                break found;
            }
        };
        let servers = traces::named(traces::SERVER);
        let server = servers.iter().find(|server| !before.contains(server)).expect("it is served");
        let network = File::open(format!("/proc/{server}/ns/net")).expect("root can open it");
        Session { loopbox, _stdout: stdout, address, export, network }
    }

    /// Does something in the server's network.
    fn within<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let network = self.network.try_clone().expect("a descriptor");
        let enter = move || {
            setns(network, CloneFlags::CLONE_NEWNET).expect("root can enter it");
            act()
        };
        thread::spawn(enter).join().expect("it does not panic")
    }

    /// Makes a call there from a port that is the kernel's; whether it is carried out.
    fn call(
        &self,
        call: impl FnOnce(&mut TcpStream) -> std::io::Result<Vec<u8>> + Send + 'static,
    ) -> Outcome {
        let address = self.address;
        self.judge(self.within(move || call(&mut port::privileged(address)?)))
    }

    /// A reply is good if its call was accepted, and carried out where it has a status.
    fn judge(&self, reply: std::io::Result<Vec<u8>>) -> Outcome {
        let told = format!("{reply:x?}");
        let done = |reply: &Vec<u8>| {
            let words: Vec<&[u8]> = reply.chunks(4).collect();
            words.get(2) == Some(&&[0; 4][..])
                && words.get(5) == Some(&&[0; 4][..])
                && words.get(6).is_none_or(|status| *status == [0; 4])
        };
        Outcome::when(reply.is_ok_and(|reply| done(&reply)), told)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.loopbox.stdin.take());
        // Its end was tested elsewhere.
        let _ = self.loopbox.wait();
    }
}

/// The reply to a call.
fn ask(stream: &mut TcpStream, record: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let header = (record.len() as u32) | 1 << 31;
    stream.write_all(&[&header.to_be_bytes(), record].concat())?;
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut reply = vec![0; (u32::from_be_bytes(header) & !(1 << 31)) as usize];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// The root's handle.
fn mounted(stream: &mut TcpStream, export: &str) -> std::io::Result<Vec<u8>> {
    let reply = ask(stream, &records::mount(export))?;
    records::handle(&reply).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// A call of root's, as another user's.
fn by(uid: u32, mut record: Vec<u8>) -> Vec<u8> {
    record[UID..UID + 4].copy_from_slice(&uid.to_be_bytes());
    record
}
