//! The calls of each workload, encoded and ready to be sent over and over.

use anyhow::{Result, bail};
use nfs3_types::nfs3::{
    self, ACCESS3args, GETATTR3args, LOOKUP3args, LOOKUP3res, NFS_PROGRAM, Nfs3Result, READ3args,
    READDIRPLUS3args, READDIRPLUS3res, cookieverf3, diropargs3, filename3, nfs_fh3,
};
use nfs3_types::xdr_codec::Pack;

use super::client::{Client, call, decode};
use crate::bench::subjects::Workload;
use crate::bench::work::large_file::{self, Noise};
use crate::bench::work::tree::{FILES_IN_DIRECTORY, directory_name, file_name};
use crate::bench::work::{LARGE, TREE};

/// Bytes in a small READ.
const SMALL_READ: u32 = 4 << 10;
/// Bytes in a large READ.
pub const LARGE_READ: u32 = 1 << 20;
/// Different READs of the large file.
const READS: usize = 4096;
/// Directories of the tree that are used, below its top.
const DIRECTORIES: usize = 8;
/// Bytes of a listing's names and of all of it, as the Linux client asks for (`dtsize`, fs/nfs/client.c).
const LISTING: u32 = 32 << 10;
/// Every right that ACCESS knows, as the Linux client asks for.
const RIGHTS: u32 = nfs3::ACCESS3_READ
    | nfs3::ACCESS3_LOOKUP
    | nfs3::ACCESS3_MODIFY
    | nfs3::ACCESS3_EXTEND
    | nfs3::ACCESS3_DELETE
    | nfs3::ACCESS3_EXECUTE;

/// What a workload sends.
pub fn records(workload: Workload, client: &mut Client) -> Result<Vec<Vec<u8>>> {
    let top = client.root.clone();
    match workload {
        Workload::WireRead4k => {
            let file = lookup(client, &top, LARGE)?;
            let mut noise = Noise::new(20);
            let pages = large_file::BYTES / u64::from(SMALL_READ);
            let offset = |_| noise.below(pages as usize) as u64 * u64::from(SMALL_READ);
            reads(&file, SMALL_READ, (0..READS).map(offset))
        }
        Workload::WireRead1m => {
            let file = lookup(client, &top, LARGE)?;
            let pieces = large_file::BYTES / u64::from(LARGE_READ);
            reads(&file, LARGE_READ, (0..pieces).map(|piece| piece * u64::from(LARGE_READ)))
        }
        Workload::WireGetattr => {
            of_files(client, |_, _, object| nfs(NFS_PROGRAM::NFSPROC3_GETATTR, &GETATTR3args { object }))
        }
        Workload::WireAccess => of_files(client, |_, _, object| {
            nfs(NFS_PROGRAM::NFSPROC3_ACCESS, &ACCESS3args { object, access: RIGHTS })
        }),
        Workload::WireLookup => of_files(client, |dir, name, _| {
            let what = diropargs3 { dir: dir.clone(), name: filename3::from(name.as_bytes()) };
            nfs(NFS_PROGRAM::NFSPROC3_LOOKUP, &LOOKUP3args { what })
        }),
        Workload::WireReaddirplus => {
            let listing = |dir| READDIRPLUS3args {
                dir,
                cookie: 0,
                cookieverf: cookieverf3::default(),
                dircount: LISTING,
                maxcount: LISTING,
            };
            let directories = directories(client)?;
            let one = nfs(NFS_PROGRAM::NFSPROC3_READDIRPLUS, &listing(directories[0].clone()))?;
            check_whole(&client.connection.ask(&one)?)?;
            directories
                .into_iter()
                .map(|directory| nfs(NFS_PROGRAM::NFSPROC3_READDIRPLUS, &listing(directory)))
                .collect()
        }
        other => bail!("{other} is not made of one kind of call"),
    }
}

/// A name in a directory.
pub fn lookup(client: &mut Client, directory: &nfs_fh3, name: &str) -> Result<nfs_fh3> {
    let what = diropargs3 { dir: directory.clone(), name: filename3::from(name.as_bytes()) };
    let record = nfs(NFS_PROGRAM::NFSPROC3_LOOKUP, &LOOKUP3args { what })?;
    match decode::<LOOKUP3res>(&client.connection.ask(&record)?)? {
        Nfs3Result::Ok(found) => Ok(found.object),
        Nfs3Result::Err((status, _)) => bail!("the server does not find {name}: {status}"),
    }
}

/// That a listing comes in one reply, so that all servers do the same for a call.
fn check_whole(reply: &[u8]) -> Result<()> {
    match decode::<READDIRPLUS3res>(reply)? {
        Nfs3Result::Ok(listing) if listing.reply.eof => {
            let names = listing.reply.entries.into_inner().len();
            if names < FILES_IN_DIRECTORY {
                bail!("the server lists only {names} names");
            }
            Ok(())
        }
        Nfs3Result::Ok(_) => bail!("the server lists a small directory in several replies"),
        Nfs3Result::Err((status, _)) => bail!("the server does not list a directory: {status}"),
    }
}

/// A call of an NFS procedure.
pub fn nfs(procedure: NFS_PROGRAM, arguments: &impl Pack) -> Result<Vec<u8>> {
    call(nfs3::PROGRAM, nfs3::VERSION, procedure as u32, arguments)
}

/// One record for each file of some directories, given the directory, the name and the file.
fn of_files(
    client: &mut Client,
    mut record: impl FnMut(&nfs_fh3, &str, nfs_fh3) -> Result<Vec<u8>>,
) -> Result<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    for directory in directories(client)? {
        for number in 0..FILES_IN_DIRECTORY {
            let name = file_name(number);
            let file = lookup(client, &directory, &name)?;
            records.push(record(&directory, &name, file)?);
        }
    }
    Ok(records)
}

fn directories(client: &mut Client) -> Result<Vec<nfs_fh3>> {
    let root = client.root.clone();
    let top = lookup(client, &root, TREE)?;
    (0..DIRECTORIES).map(|number| lookup(client, &top, &directory_name(number))).collect()
}

fn reads(file: &nfs_fh3, count: u32, offsets: impl Iterator<Item = u64>) -> Result<Vec<Vec<u8>>> {
    let read = |offset| nfs(NFS_PROGRAM::NFSPROC3_READ, &READ3args { file: file.clone(), offset, count });
    offsets.map(read).collect()
}
