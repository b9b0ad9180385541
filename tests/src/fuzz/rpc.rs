//! Records for a running server: it answers or ends the connection, goes on serving, and changes nothing but its
//! writable places.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nfs_server::view::{Access, Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};

use super::{Run, records};
use crate::lab::remove;

/// An answer that takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(10);
/// The mark of a record's last fragment.
const LAST: u32 = 1 << 31;
/// One record in so many has a header that lies about its length.
const LIES: usize = 50;
/// The server is asked whether it still serves after so many inputs.
const PULSE: u64 = 256;
/// After so many inputs the writable place is made anew, and so are the handles in it: calls have removed its file.
const ROOM: u64 = 2_000;

/// Set by the panic of any thread.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Goes on until the time is over.
pub fn run(run: &mut Run) -> Result<()> {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Ordering::Relaxed);
        usual(panic);
    }));
    let host = run.lab.path(&format!("fuzz/host-{}", std::process::id()))?;
    let result = attack(run, &host);
    remove(&host)?;
    // The usual one again.
    drop(std::panic::take_hook());
    result
}

fn attack(run: &mut Run, host: &Path) -> Result<()> {
    let mut world = World::make(host)?;
    let mut seeds = world.seeds()?;
    let mut stream = world.connect()?;
    while let Some(input) = run.next(&seeds) {
        let lie = run.once_in(LIES);
        let outcome = if lie { tell_lie(&mut stream, &input) } else { ask(&mut stream, &input) };
        if PANICKED.swap(false, Ordering::Relaxed) {
            run.keep(&input, "a thread of the server panicked")?;
        }
        match outcome {
            Ok(_) if !lie => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                run.keep(&input, "the server gave no answer")?;
                stream = world.connect()?;
            }
            // It ended the connection, as it may.
            _ => stream = world.connect()?,
        }
        if run.tried.is_multiple_of(PULSE) && ask(&mut world.connect()?, &seeds[0]).is_err() {
            run.keep(&input, "the server serves no more")?;
            bail!("the server serves no more");
        }
        if run.tried.is_multiple_of(ROOM) {
            // A scratch is changed by its server alone: another one, to begin again.
            world = World::make(host)?;
            seeds = world.seeds()?;
            stream = world.connect()?;
        }
    }
    world.is_untouched().then_some(()).context("the server changed what it shows read-only")
}

/// A call and its answer.
fn ask(stream: &mut TcpStream, record: &[u8]) -> io::Result<Vec<u8>> {
    let header = record.len() as u32 | LAST;
    stream.write_all(&[&header.to_be_bytes(), record].concat())?;
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let mut reply = vec![0; (u32::from_be_bytes(header) & !LAST) as usize];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

/// The first word of the input is the header; then there is nothing more to come.
fn tell_lie(stream: &mut TcpStream, input: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(input)?;
    stream.shutdown(Shutdown::Write)?;
    let mut replies = Vec::new();
    stream.read_to_end(&mut replies)?;
    Ok(replies)
}

/// A view with every kind of entry, and its server.
struct World {
    host: PathBuf,
    server: Server,
}

impl World {
    fn make(host: &Path) -> Result<World> {
        for directory in ["graft", "scratch"] {
            fs::create_dir_all(host.join(directory))?;
        }
        fs::write(host.join("graft/file"), "shown")?;
        fs::write(host.join("outside"), "not shown")?;
        let owner = Owner { uid: 0, gid: 0 };
        let entries = vec![
            Entry::Directory { at: "/".into(), mode: 0o755, owner: Owner::default() },
            Entry::Graft {
                at: "/graft".into(),
                source: host.join("graft"),
                access: Access::Ro,
                optional: false,
            },
            Entry::Scratch { at: "/scratch".into(), source: host.join("scratch"), mode: 0o777, owner },
            Entry::Inline { at: "/etc/passwd".into(), contents: "root:x:0:0\n".into(), mode: 0o444 },
            Entry::Symlink { at: "/link".into(), target: "/graft/file".into() },
            Entry::Device {
                at: "/dev/null".into(),
                major: 1,
                minor: 3,
                mode: 0o666,
                owner: Owner::default(),
            },
        ];
        let view = View::open(&ViewSpec { entries }, None).context("the view cannot be opened")?;
        let options = ServerOptions::new(Users::Any, Peers::Anyone);
        let server = Server::start(Arc::new(view), options).context("the server cannot be started")?;
        let world = World { host: host.to_owned(), server };
        world.tidy()?;
        Ok(world)
    }

    fn connect(&self) -> Result<TcpStream> {
        let address: SocketAddr = self.server.addr();
        let stream = TcpStream::connect(address).context("the server cannot be reached")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Every procedure, on a place that may be changed and on one that may not.
    fn seeds(&self) -> Result<Vec<Vec<u8>>> {
        let mut stream = self.connect()?;
        let mut handle = |record: Vec<u8>| {
            records::handle(&ask(&mut stream, &record)?).context("the server gave no handle")
        };
        let root = handle(records::mount(self.server.export()))?;
        let mut seeds = Vec::new();
        for name in ["scratch", "graft"] {
            let directory = handle(records::lookup(&root, name))?;
            let file = handle(records::lookup(&directory, "file"))?;
            seeds.extend(records::all(self.server.export(), &directory, &file));
        }
        // What is not understood even when it is whole would only test the first check.
        for (number, record) in seeds.iter().enumerate() {
            if ask(&mut stream, record)?.get(20..24) != Some(&[0; 4]) {
                bail!("record {number} is not understood");
            }
        }
        self.tidy()?;
        seeds.extend(["link", "etc", "dev", ".."].map(|name| records::lookup(&root, name)));
        Ok(seeds)
    }

    /// The scratch as it was at first; the file keeps its handle.
    fn tidy(&self) -> Result<()> {
        let scratch = self.host.join("scratch");
        // A call may have made a pipe of this name, which would wait for whoever reads it.
        let is_kept = |entry: &fs::DirEntry| {
            entry.file_name() == "file" && entry.file_type().is_ok_and(|kind| kind.is_file())
        };
        for entry in fs::read_dir(&scratch)?.flatten().filter(|entry| !is_kept(entry)) {
            remove(&entry.path())?;
        }
        fs::write(scratch.join("file"), "contents").context("cannot write to the scratch")
    }

    fn is_untouched(&self) -> bool {
        let names = |directory: &Path| fs::read_dir(directory).map_or(0, Iterator::count);
        let same =
            |name: &str, text: &str| fs::read_to_string(self.host.join(name)).is_ok_and(|is| is == text);
        same("graft/file", "shown")
            && same("outside", "not shown")
            && names(&self.host.join("graft")) == 1
            && names(&self.host) == 3
    }
}
