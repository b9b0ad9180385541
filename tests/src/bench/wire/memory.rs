//! What a server holds on to: its memory after a walk of many files, and its memory and descriptors after it has opened
//! and closed a million.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nfs3_types::nfs3::{
    NFS_PROGRAM, Nfs3Option, Nfs3Result, READ3args, READDIRPLUS3args, READDIRPLUS3res, cookieverf3, nfs_fh3,
};

use super::calls::{lookup, nfs};
use super::client::{Client, decode};
use crate::bench::inside::Job;
use crate::bench::private;
use crate::bench::results::{Event, Results, Unit};
use crate::bench::servers::{Offer, Running, serve};
use crate::bench::subjects::Server;
use crate::bench::work::MANY;
use crate::lab::{Lab, say};

/// Directories of the walk.
const DIRECTORIES: usize = 200;
/// Files in each.
const FILES: usize = 1000;
/// How many files are opened, each by a READ.
const OPENED: usize = 1_000_000;
/// How many calls are in flight meanwhile.
const WINDOW: usize = 32;
/// Bytes of a listing's page.
const PAGE: u32 = 1 << 20;

/// Measures every server once: memory does not vary as time does.
pub fn run(lab: &Lab, job: &Job, results: &mut Results) -> Result<()> {
    let offer = private::files(lab)?;
    make_files(&offer.root.join(MANY))?;
    for &server in job.servers.iter().filter(|server| !matches!(server, Server::Local | Server::Knfsd)) {
        say(&format!("memory of {server}"));
        if let Err(error) = one_server(server, &offer, results) {
            results.add(Event::Cannot { workload: "memory".into(), server, why: format!("{error:#}") });
        }
    }
    Ok(())
}

fn make_files(at: &Path) -> Result<()> {
    if at.exists() {
        return Ok(());
    }
    for directory in 0..DIRECTORIES {
        let directory = at.join(directory.to_string());
        fs::create_dir_all(&directory)?;
        for file in 0..FILES {
            File::create(directory.join(file.to_string())).context("cannot make the files of the walk")?;
        }
    }
    Ok(())
}

fn one_server(server: Server, offer: &Offer, results: &mut Results) -> Result<()> {
    let running = Running::start(server, offer, serve::Peers::Anyone)?;
    let process = running.process().context("the server has no process")?;
    let mut note = |workload: &str, unit, value| {
        results.add(Event::Sample { workload: workload.into(), server, unit, value });
    };
    let mut client = Client::connect(&running.address)?;
    note("memory-start", Unit::Mebibytes, resident(process)?);
    let files = walk(&mut client)?;
    note("memory-walk", Unit::Mebibytes, resident(process)?);
    if server != Server::Loopbox {
        // A million calls would take some of the others an hour.
        return Ok(());
    }
    let read = |file: &nfs_fh3| READ3args { file: file.clone(), offset: 0, count: 1 };
    let records: Result<Vec<Vec<u8>>> =
        files.iter().map(|file| nfs(NFS_PROGRAM::NFSPROC3_READ, &read(file))).collect();
    let records = records?;
    client.connection.pipeline(&records, WINDOW, |sent| sent < records.len())?;
    note("memory-opens-200k", Unit::Mebibytes, resident(process)?);
    client.connection.pipeline(&records, WINDOW, |sent| sent < OPENED - records.len())?;
    note("memory-opens-1m", Unit::Mebibytes, resident(process)?);
    note("memory-descriptors", Unit::Descriptors, descriptors(process)?);
    Ok(())
}

/// Lists every directory, with handles and attributes. The answer is the files' handles.
fn walk(client: &mut Client) -> Result<Vec<nfs_fh3>> {
    let root = client.root.clone();
    let top = lookup(client, &root, MANY)?;
    let mut files = Vec::with_capacity(DIRECTORIES * FILES);
    for number in 0..DIRECTORIES {
        let directory = lookup(client, &top, &number.to_string())?;
        list(client, &directory, &mut files)?;
    }
    if files.len() != DIRECTORIES * FILES {
        bail!("{} files were listed, not {}", files.len(), DIRECTORIES * FILES);
    }
    Ok(files)
}

fn list(client: &mut Client, directory: &nfs_fh3, files: &mut Vec<nfs_fh3>) -> Result<()> {
    let (mut cookie, mut verifier) = (0, cookieverf3::default());
    loop {
        let dir = directory.clone();
        let page = READDIRPLUS3args { dir, cookie, cookieverf: verifier, dircount: PAGE, maxcount: PAGE };
        let record = nfs(NFS_PROGRAM::NFSPROC3_READDIRPLUS, &page)?;
        let listing = match decode::<READDIRPLUS3res>(&client.connection.ask(&record)?)? {
            Nfs3Result::Ok(listing) => listing,
            Nfs3Result::Err((status, _)) => bail!("a directory cannot be listed: {status}"),
        };
        verifier = listing.cookieverf;
        for entry in listing.reply.entries.into_inner() {
            cookie = entry.cookie;
            if !matches!(entry.name.as_ref(), b"." | b"..")
                && let Nfs3Option::Some(handle) = entry.name_handle
            {
                files.push(handle);
            }
        }
        if listing.reply.eof {
            return Ok(());
        }
    }
}

/// Memory of a process that is in use now, in MiB.
fn resident(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the server has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: f64 = kibibytes.context("the server's memory cannot be read")?.parse()?;
    Ok(kibibytes / 1024.0)
}

fn descriptors(process: u32) -> Result<f64> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).context("the server has ended")?;
    Ok(open.count() as f64)
}
