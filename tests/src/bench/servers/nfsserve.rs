//! The crate nfsserve on a view. Its trait is the smallest: no verifiers, no stability, no mode for directories.

use std::io::{self, Cursor};
use std::sync::Arc;

use anyhow::{Context, Result};
use async_trait::async_trait;
use nfs_server::view::{Create, New, View};
use nfs3_types::xdr_codec::{Pack, Unpack};
use nfsserve::nfs::{self, fattr3, fileid3, filename3, nfspath3, nfsstat3, sattr3};
use nfsserve::tcp::{NFSTcp, NFSTcpListener};
use nfsserve::vfs::{DirEntry, NFSFileSystem, ReadDirResult, VFSCapabilities};
use nfsserve::xdr::XDR;

use super::Address;
use super::numbered::Numbered;

/// Serves until `ready` returns.
pub fn serve(view: Arc<View>, ready: impl FnOnce(&Address) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    let listener = runtime
        .block_on(NFSTcpListener::bind("127.0.0.1:0", Adapter(Numbered::new(view))))
        .context("cannot listen")?;
    let port = listener.get_listen_port();
    runtime.spawn(async move {
        let ended: io::Result<()> = listener.handle_forever().await;
        eprintln!("nfsserve ended: {ended:?}");
    });
    ready(&Address { nfs: port, mount: port, export: "/".to_owned() })
}

struct Adapter(Numbered);

#[async_trait]
impl NFSFileSystem for Adapter {
    fn capabilities(&self) -> VFSCapabilities {
        VFSCapabilities::ReadWrite
    }

    fn root_dir(&self) -> fileid3 {
        self.0.root()
    }

    async fn lookup(&self, directory: fileid3, name: &filename3) -> Result<fileid3, nfsstat3> {
        self.0.lookup(directory, name).map_err(status)
    }

    async fn getattr(&self, id: fileid3) -> Result<fattr3, nfsstat3> {
        self.0.attributes(id).map(|found| attributes(&found)).map_err(status)
    }

    async fn setattr(&self, id: fileid3, set: sattr3) -> Result<fattr3, nfsstat3> {
        self.0.set(id, &settings(&set)?).map(|found| attributes(&found)).map_err(status)
    }

    async fn read(&self, id: fileid3, offset: u64, count: u32) -> Result<(Vec<u8>, bool), nfsstat3> {
        self.0.read(id, offset, count).map_err(status)
    }

    async fn write(&self, id: fileid3, offset: u64, data: &[u8]) -> Result<fattr3, nfsstat3> {
        self.0.write(id, offset, data, true).map(|found| attributes(&found)).map_err(status)
    }

    async fn create(
        &self,
        directory: fileid3,
        name: &filename3,
        set: sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        let made = self.0.create(directory, name, Create::Unchecked, &settings(&set)?);
        made.map(|(id, found)| (id, attributes(&found))).map_err(status)
    }

    async fn create_exclusive(&self, directory: fileid3, name: &filename3) -> Result<fileid3, nfsstat3> {
        let made = self.0.create(directory, name, Create::Guarded, &Default::default());
        made.map(|(id, _)| id).map_err(status)
    }

    async fn mkdir(&self, directory: fileid3, name: &filename3) -> Result<(fileid3, fattr3), nfsstat3> {
        let made = self.0.make(directory, name, New::Directory, &Default::default());
        made.map(|(id, found)| (id, attributes(&found))).map_err(status)
    }

    async fn remove(&self, directory: fileid3, name: &filename3) -> Result<(), nfsstat3> {
        self.0.remove(directory, name).map_err(status)
    }

    async fn rename(
        &self,
        from: fileid3,
        from_name: &filename3,
        to: fileid3,
        to_name: &filename3,
    ) -> Result<(), nfsstat3> {
        self.0.rename((from, from_name), (to, to_name)).map_err(status)
    }

    async fn readdir(
        &self,
        directory: fileid3,
        start_after: fileid3,
        max_entries: usize,
    ) -> Result<ReadDirResult, nfsstat3> {
        let (named, end) = self.0.list_behind(directory, start_after, max_entries).map_err(status)?;
        let entry = |named: super::numbered::Named| DirEntry {
            fileid: named.id,
            name: named.name.into(),
            attr: attributes(&named.attributes),
        };
        Ok(ReadDirResult { entries: named.into_iter().map(entry).collect(), end })
    }

    async fn symlink(
        &self,
        directory: fileid3,
        name: &filename3,
        target: &nfspath3,
        set: &sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        let made = self.0.make(directory, name, New::Symlink(target), &settings(set)?);
        made.map(|(id, found)| (id, attributes(&found))).map_err(status)
    }

    async fn readlink(&self, id: fileid3) -> Result<nfspath3, nfsstat3> {
        self.0.read_link(id).map(nfspath3::from).map_err(status)
    }
}

/// The crates have types of their own for the same things on the wire, which is where they meet.
fn status(status: nfs3_types::nfs3::nfsstat3) -> nfsstat3 {
    let mut translated = nfsstat3::NFS3ERR_SERVERFAULT;
    let mut wire = Vec::new();
    match status.pack(&mut wire).map(|_| translated.deserialize(&mut Cursor::new(wire))) {
        Ok(Ok(())) => translated,
        _ => nfsstat3::NFS3ERR_SERVERFAULT,
    }
}

fn settings(set: &sattr3) -> Result<nfs3_types::nfs3::sattr3, nfsstat3> {
    let mut wire = Vec::new();
    set.serialize(&mut wire).map_err(|_| nfsstat3::NFS3ERR_SERVERFAULT)?;
    let translated = nfs3_types::nfs3::sattr3::unpack(&mut Cursor::new(wire));
    translated.map(|(set, _)| set).map_err(|_| nfsstat3::NFS3ERR_SERVERFAULT)
}

/// By hand, since it is done for nearly every call.
fn attributes(from: &nfs3_types::nfs3::fattr3) -> fattr3 {
    use nfs3_types::nfs3::ftype3;
    let time =
        |time: nfs3_types::nfs3::nfstime3| nfs::nfstime3 { seconds: time.seconds, nseconds: time.nseconds };
    fattr3 {
        ftype: match from.type_ {
            ftype3::NF3REG => nfs::ftype3::NF3REG,
            ftype3::NF3DIR => nfs::ftype3::NF3DIR,
            ftype3::NF3BLK => nfs::ftype3::NF3BLK,
            ftype3::NF3CHR => nfs::ftype3::NF3CHR,
            ftype3::NF3LNK => nfs::ftype3::NF3LNK,
            ftype3::NF3SOCK => nfs::ftype3::NF3SOCK,
            ftype3::NF3FIFO => nfs::ftype3::NF3FIFO,
        },
        mode: from.mode,
        nlink: from.nlink,
        uid: from.uid,
        gid: from.gid,
        size: from.size,
        used: from.used,
        rdev: nfs::specdata3 { specdata1: from.rdev.specdata1, specdata2: from.rdev.specdata2 },
        fsid: from.fsid,
        fileid: from.fileid,
        atime: time(from.atime),
        mtime: time(from.mtime),
        ctime: time(from.ctime),
    }
}
