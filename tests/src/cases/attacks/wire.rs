//! The server's protocol, spoken to it by others than the kernel's client: by root from the server's own network, as if somebody
//! had got there.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use super::{Outcome, USER, World, attacks};
use crate::attempts::port;
use crate::cases::clean::traces;
use crate::cases::hold::host::attacker;
use crate::fuzz::records;

/// More than a server takes at once, and fewer than a process may have.
const CONNECTIONS: usize = 200;
/// What a server takes at once, and some more.
const TAKEN_MAX: usize = 40;
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
