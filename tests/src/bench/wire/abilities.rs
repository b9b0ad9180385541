//! What a server does not carry at all, however fast it is: procedures that it does not know, and who is calling.

use anyhow::{Context, Result};
use nfs3_types::nfs3::{
    self, ACCESS3args, ACCESS3res, NFS_PROGRAM, Nfs3Option, Nfs3Result, SETATTR3args, sattr3,
};

use super::calls::{lookup, nfs};
use super::client::{Client, call_as, decode};
use crate::bench::results::{Event, Results};
use crate::bench::servers::Running;
use crate::bench::subjects::Server;
use crate::bench::work::SCRATCH;

/// Procedures that some servers leave out.
const PROCEDURES: [NFS_PROGRAM; 3] =
    [NFS_PROGRAM::NFSPROC3_LINK, NFS_PROGRAM::NFSPROC3_MKNOD, NFS_PROGRAM::NFSPROC3_COMMIT];
/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// Takes note of what a server cannot do.
pub fn look(server: Server, running: &Running, results: &mut Results) -> Result<()> {
    let mut client = Client::connect(&running.address)?;
    let root = client.root.clone();
    let scratch = lookup(&mut client, &root, SCRATCH)?;
    let mut cannot = |workload: &str, why: String| {
        results.add(Event::Cannot { workload: workload.into(), server, why });
    };
    for procedure in PROCEDURES {
        // A connection each: some servers end one on which they were given nonsense.
        let mut client = Client::connect(&running.address)?;
        // Nothing behind the handle: who knows the procedure says that the arguments are wrong.
        let record = nfs(procedure, &scratch)?;
        if let Err(error) = client.connection.ask(&record)
            && error.is::<super::client::Unknown>()
        {
            let name = procedure.to_string();
            cannot(name.trim_start_matches("NFSPROC3_"), format!("{error}"));
        }
    }
    private(&mut client, &scratch)?;
    if grants(&mut client, &scratch)? {
        cannot("users", "every caller is taken for root".into());
    }
    Ok(())
}

/// Makes a directory that only root may change.
fn private(client: &mut Client, directory: &nfs3::nfs_fh3) -> Result<()> {
    let new_attributes = sattr3 { mode: Nfs3Option::Some(0o755), ..sattr3::default() };
    let set = SETATTR3args { object: directory.clone(), new_attributes, guard: Nfs3Option::None };
    client.connection.ask(&nfs(NFS_PROGRAM::NFSPROC3_SETATTR, &set)?).map(drop)
}

/// Whether somebody else may change it.
fn grants(client: &mut Client, directory: &nfs3::nfs_fh3) -> Result<bool> {
    let wanted = nfs3::ACCESS3_MODIFY | nfs3::ACCESS3_EXTEND;
    let ask = ACCESS3args { object: directory.clone(), access: wanted };
    let record = call_as(NOBODY, (nfs3::PROGRAM, nfs3::VERSION, NFS_PROGRAM::NFSPROC3_ACCESS as u32), &ask)?;
    let reply = client.connection.ask(&record).context("the server does not say what others may do")?;
    match decode::<ACCESS3res>(&reply)? {
        Nfs3Result::Ok(granted) => Ok(granted.access & wanted != 0),
        Nfs3Result::Err(_) => Ok(false),
    }
}
