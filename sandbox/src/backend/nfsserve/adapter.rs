//! The crate's file system on a view. Its trait is a small one: no verifiers, no stability, no mode for directories.

use async_trait::async_trait;
use nfs_server::view::{CreateMode, NewNode, SetAttributes};
use nfsserve::nfs::{fattr3, fileid3, filename3, nfspath3, nfsstat3, sattr3};
use nfsserve::vfs::{DirEntry, NFSFileSystem, ReadDirResult, ReadDirSimpleResult, VFSCapabilities};

use super::words::{attributes, settings, status};
use crate::backend::inode_view::{InodeEntry, InodeView, NewInode};

/// Mode of a new directory, whichever was asked for: what `mkdir` and most builders leave with their mask of 022.
const DIRECTORY_MODE: u32 = 0o755;

/// A view for the crate.
pub(super) struct Adapter(pub InodeView);

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
        self.0.attributes(id).map(|found| attributes(id, &found)).map_err(status)
    }

    async fn setattr(&self, id: fileid3, set: sattr3) -> Result<fattr3, nfsstat3> {
        self.0.set(id, &settings(&set)).map(|found| attributes(id, &found)).map_err(status)
    }

    async fn read(&self, id: fileid3, offset: u64, count: u32) -> Result<(Vec<u8>, bool), nfsstat3> {
        self.0.read(id, offset, count).map_err(status)
    }

    async fn write(&self, id: fileid3, offset: u64, data: &[u8]) -> Result<fattr3, nfsstat3> {
        self.0.write(id, offset, data, true).map(|found| attributes(id, &found)).map_err(status)
    }

    async fn create(
        &self,
        directory: fileid3,
        name: &filename3,
        set: sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        made(self.0.create(directory, name, CreateMode::Unchecked, &settings(&set)).map_err(status)?)
    }

    async fn create_exclusive(&self, directory: fileid3, name: &filename3) -> Result<fileid3, nfsstat3> {
        let made = self.0.create(directory, name, CreateMode::Guarded, &SetAttributes::default());
        made.map(|(id, _)| id).map_err(status)
    }

    async fn mkdir(&self, directory: fileid3, name: &filename3) -> Result<(fileid3, fattr3), nfsstat3> {
        let set = SetAttributes { mode: Some(DIRECTORY_MODE), ..SetAttributes::default() };
        made(self.0.make(directory, name, NewNode::Directory, &set).map_err(status)?)
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
        let (entries, end) = self.0.list_behind(directory, start_after, max_entries).map_err(status)?;
        let entry = |entry: InodeEntry| DirEntry {
            fileid: entry.id,
            attr: attributes(entry.id, &entry.attributes),
            name: entry.name.into(),
        };
        Ok(ReadDirResult { entries: entries.into_iter().map(entry).collect(), end })
    }

    /// READDIR, which the crate does not tell from where: it would begin anew each time, and the kernel's client, which
    /// asks in this way for the second part of a directory, then goes round in it and cannot be killed. An error ends it.
    async fn readdir_simple(&self, _: fileid3, _: usize) -> Result<ReadDirSimpleResult, nfsstat3> {
        Err(nfsstat3::NFS3ERR_SERVERFAULT)
    }

    async fn symlink(
        &self,
        directory: fileid3,
        name: &filename3,
        target: &nfspath3,
        set: &sattr3,
    ) -> Result<(fileid3, fattr3), nfsstat3> {
        made(self.0.make(directory, name, NewNode::Symlink(target), &settings(set)).map_err(status)?)
    }

    async fn readlink(&self, id: fileid3) -> Result<nfspath3, nfsstat3> {
        self.0.read_link(id).map(nfspath3::from).map_err(status)
    }
}

fn made((id, found): NewInode) -> Result<(fileid3, fattr3), nfsstat3> {
    Ok((id, attributes(id, &found)))
}
