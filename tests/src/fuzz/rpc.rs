//! Records for a running server: it answers or ends the connection, goes on serving, and changes nothing but its
//! writable places.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nfs_server::Users;

use super::corpus::Exchange;
use super::world::{World, has_panicked, with_host};
use super::{Run, records};
use crate::lab::remove;

/// The mark of a record's last fragment.
const LAST: u32 = 1 << 31;
/// One record in so many has a header that lies about its length.
const LIES: usize = 50;
/// The server is asked whether it still serves after so many inputs.
const PULSE: u64 = 256;
/// After so many inputs the writable place is made anew, and so are the handles in it: calls have removed its file.
const ROOM: u64 = 2_000;
/// Whatever else it does, this it may not.
const CHANGED: &str = "the server changed what it shows read-only";

/// Goes on until the time is over.
pub fn run(run: &mut Run) -> Result<()> {
    with_host(run, attack)
}

fn attack(run: &mut Run, host: &Path) -> Result<()> {
    let mut world = World::make(host, Users::Any)?;
    let exchanges = Exchange::read_all(run.lab.checkout())?;
    let mut seeds = seeds(&world, &exchanges)?;
    let mut stream = world.connect()?;
    while let Some(input) = run.next(&seeds) {
        let lie = run.once_in(LIES);
        let outcome = if lie { tell_lie(&mut stream, &input) } else { ask(&mut stream, &input) };
        if has_panicked() {
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
            if !world.is_untouched() {
                bail!(CHANGED);
            }
            // A scratch is changed by its server alone: another one, to begin again.
            world = World::make(host, Users::Any)?;
            seeds = self::seeds(&world, &exchanges)?;
            stream = world.connect()?;
        }
    }
    world.is_untouched().then_some(()).context(CHANGED)
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

/// Every procedure, on a place that may be changed and on one that may not, and the corpus.
fn seeds(world: &World, exchanges: &[Exchange]) -> Result<Vec<Vec<u8>>> {
    tidy(world)?;
    let mut stream = world.connect()?;
    let mut handle =
        |record: Vec<u8>| records::handle(&ask(&mut stream, &record)?).context("the server gave no handle");
    let root = handle(records::mount(world.export()))?;
    let mut seeds = Vec::new();
    for name in ["scratch", "graft"] {
        let directory = handle(records::lookup(&root, name))?;
        let file = handle(records::lookup(&directory, "file"))?;
        seeds.extend(records::all(world.export(), &directory, &file));
    }
    // What is not understood even when it is whole would only test the first check.
    for (number, record) in seeds.iter().enumerate() {
        if ask(&mut stream, record)?.get(20..24) != Some(&[0; 4]) {
            bail!("record {number} is not understood");
        }
    }
    tidy(world)?;
    seeds.extend(replied(world, exchanges)?);
    seeds.extend(["link", "etc", "dev", ".."].map(|name| records::lookup(&root, name)));
    Ok(seeds)
}

/// The records of the corpus, once each is seen to get the reply that is written there.
fn replied(world: &World, exchanges: &[Exchange]) -> Result<Vec<Vec<u8>>> {
    let mut stream = world.connect()?;
    let (mut records, mut wrong) = (Vec::new(), Vec::new());
    for exchange in exchanges {
        let record = exchange.record(|path| handle_of(world, path))?;
        let reply = ask(&mut stream, &record);
        let expected: Vec<u8> = exchange.reply.iter().flat_map(|word| word.to_be_bytes()).collect();
        let is_as_written = match &reply {
            Ok(reply) => {
                !expected.is_empty() && reply.get(4..).is_some_and(|reply| reply.starts_with(&expected))
            }
            Err(_) => expected.is_empty(),
        };
        if !is_as_written {
            wrong.push(format!("{}: the reply is {reply:?}", exchange.about));
        }
        if reply.is_err() {
            stream = world.connect()?;
        }
        records.push(record);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(records)
}

/// The handle of a path below the root.
fn handle_of(world: &World, path: &str) -> Result<Vec<u8>> {
    let mut stream = world.connect()?;
    let mut handle = |record: Vec<u8>| {
        records::handle(&ask(&mut stream, &record)?).with_context(|| format!("{path:?} has no handle"))
    };
    let root = handle(records::mount(world.export()))?;
    path.split_terminator('/').try_fold(root, |directory, name| handle(records::lookup(&directory, name)))
}

/// The scratch as it was at first; the file keeps its handle.
fn tidy(world: &World) -> Result<()> {
    let scratch = world.scratch();
    // A call may have made a pipe of this name, which would wait for whoever reads it.
    let is_kept = |entry: &fs::DirEntry| {
        entry.file_name() == "file" && entry.file_type().is_ok_and(|kind| kind.is_file())
    };
    for entry in fs::read_dir(&scratch)?.flatten().filter(|entry| !is_kept(entry)) {
        remove(&entry.path())?;
    }
    fs::write(scratch.join("file"), "contents").context("cannot write to the scratch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_gets_its_replies() {
        let lab = crate::lab::Lab::open().expect("the lab can be made");
        let host = tempfile::tempdir().expect("a directory can be made");
        let world = World::make(host.path(), Users::Any).expect("it is served");
        tidy(&world).expect("the file can be made");
        let exchanges = Exchange::read_all(lab.checkout()).expect("the corpus can be read");
        replied(&world, &exchanges).unwrap_or_else(|error| panic!("{error:#}"));
    }
}
