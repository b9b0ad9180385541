//! The crate nfs3_server on a view.

mod words;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use nfs_server::view::{CreateMode, NewNode, SetAttributes, View};
use nfs3_server::tcp::{NFSTcp, NFSTcpListener};
use nfs3_server::vfs::{
    DirEntryPlus, FileHandleU64, NextResult, NfsFileSystem, NfsReadFileSystem, ReadDirPlusIterator,
};
use nfs3_types::nfs3::{createverf3, fattr3, filename3, nfspath3, nfsstat3, sattr3, stable_how};
use nfs3_types::xdr_codec::Opaque;
use sandbox::backend::inode_view::{InodeEntry, InodeView, NewInode};

use super::{Address, root};
use words::{decode, encode, status};

/// Names taken from the view at a time.
const BATCH: usize = 256;

/// Serves until `ready` returns.
pub fn serve(view: Arc<View>, ready: impl FnOnce(&Address) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    let listener = runtime
        .block_on(NFSTcpListener::bind("127.0.0.1:0", Adapter(Arc::new(InodeView::new(view, root())))))
        .context("cannot listen")?;
    let port = listener.get_listen_port();
    runtime.spawn(async move {
        let ended: io::Result<()> = listener.handle_forever().await;
        eprintln!("nfs3_server ended: {ended:?}");
    });
    ready(&Address { nfs: port, mount: port, export: "/".to_owned() })
}

struct Adapter(Arc<InodeView>);

struct Entries {
    view: Arc<InodeView>,
    directory: u64,
    cookie: u64,
    waiting: VecDeque<InodeEntry>,
    end: bool,
}

impl NfsReadFileSystem for Adapter {
    type Handle = FileHandleU64;

    fn root_dir(&self) -> FileHandleU64 {
        self.0.root().into()
    }

    async fn lookup(
        &self,
        directory: &FileHandleU64,
        name: &filename3<'_>,
    ) -> Result<FileHandleU64, nfsstat3> {
        self.0.lookup(directory.as_u64(), name.as_ref()).map(FileHandleU64::from).map_err(status)
    }

    async fn getattr(&self, id: &FileHandleU64) -> Result<fattr3, nfsstat3> {
        self.0.attributes(id.as_u64()).map(|found| encode(id.as_u64(), &found)).map_err(status)
    }

    async fn read(&self, id: &FileHandleU64, offset: u64, count: u32) -> Result<(Vec<u8>, bool), nfsstat3> {
        self.0.read(id.as_u64(), offset, count).map_err(status)
    }

    async fn readdirplus(
        &self,
        directory: &FileHandleU64,
        cookie: u64,
    ) -> Result<impl ReadDirPlusIterator<FileHandleU64>, nfsstat3> {
        let (entries, end) = self.0.list(directory.as_u64(), cookie, BATCH).map_err(status)?;
        let view = Arc::clone(&self.0);
        Ok(Entries { view, directory: directory.as_u64(), cookie, waiting: entries.into(), end })
    }

    async fn readlink(&self, id: &FileHandleU64) -> Result<nfspath3<'_>, nfsstat3> {
        Ok(nfspath3(Opaque::owned(self.0.read_link(id.as_u64()).map_err(status)?)))
    }
}

impl NfsFileSystem for Adapter {
    async fn setattr(&self, id: &FileHandleU64, set: sattr3) -> Result<fattr3, nfsstat3> {
        let found = self.0.set(id.as_u64(), &decode(&set)).map_err(status)?;
        Ok(encode(id.as_u64(), &found))
    }

    async fn write(
        &self,
        id: &FileHandleU64,
        offset: u64,
        data: &[u8],
        stable: stable_how,
    ) -> Result<(fattr3, stable_how), nfsstat3> {
        let sync = stable != stable_how::UNSTABLE;
        let found = self.0.write(id.as_u64(), offset, data, sync).map_err(status)?;
        Ok((encode(id.as_u64(), &found), stable_how::FILE_SYNC))
    }

    async fn create(
        &self,
        directory: &FileHandleU64,
        name: &filename3<'_>,
        set: sattr3,
    ) -> Result<(FileHandleU64, fattr3), nfsstat3> {
        let new = self.0.create(directory.as_u64(), name.as_ref(), CreateMode::Unchecked, &decode(&set));
        new.map(made).map_err(status)
    }

    async fn create_exclusive(
        &self,
        directory: &FileHandleU64,
        name: &filename3<'_>,
        _verifier: createverf3,
    ) -> Result<FileHandleU64, nfsstat3> {
        let set = SetAttributes { mode: Some(0o600), ..SetAttributes::NONE };
        let new = self.0.create(directory.as_u64(), name.as_ref(), CreateMode::Guarded, &set);
        new.map(|(id, _)| id.into()).map_err(status)
    }

    async fn mkdir(
        &self,
        directory: &FileHandleU64,
        name: &filename3<'_>,
    ) -> Result<(FileHandleU64, fattr3), nfsstat3> {
        let set = SetAttributes::default();
        self.0.make(directory.as_u64(), name.as_ref(), NewNode::Directory, &set).map(made).map_err(status)
    }

    async fn remove(&self, directory: &FileHandleU64, name: &filename3<'_>) -> Result<(), nfsstat3> {
        self.0.remove(directory.as_u64(), name.as_ref()).map_err(status)
    }

    async fn rename<'a>(
        &self,
        from: &FileHandleU64,
        from_name: &filename3<'a>,
        to: &FileHandleU64,
        to_name: &filename3<'a>,
    ) -> Result<(), nfsstat3> {
        let (from, to) = ((from.as_u64(), from_name.as_ref()), (to.as_u64(), to_name.as_ref()));
        self.0.rename(from, to).map_err(status)
    }

    async fn symlink<'a>(
        &self,
        directory: &FileHandleU64,
        name: &filename3<'a>,
        target: &nfspath3<'a>,
        set: &sattr3,
    ) -> Result<(FileHandleU64, fattr3), nfsstat3> {
        let new = NewNode::Symlink(target.as_ref());
        self.0.make(directory.as_u64(), name.as_ref(), new, &decode(set)).map(made).map_err(status)
    }

    /// What a scratch holds need not outlive the view, and the view has no other place to write to here.
    async fn commit(&self, _: &FileHandleU64, _: u64, _: u32) -> Result<(), nfsstat3> {
        Ok(())
    }
}

impl ReadDirPlusIterator<FileHandleU64> for Entries {
    async fn next(&mut self) -> NextResult<DirEntryPlus<FileHandleU64>> {
        if self.waiting.is_empty() && !self.end {
            match self.view.list(self.directory, self.cookie, BATCH) {
                Ok((entries, end)) => (self.waiting, self.end) = (entries.into(), end),
                Err(error) => return NextResult::Err(status(error)),
            }
        }
        let Some(entry) = self.waiting.pop_front() else { return NextResult::Eof };
        self.cookie = entry.cookie;
        NextResult::Ok(DirEntryPlus {
            fileid: entry.id,
            name: filename3(Opaque::owned(entry.name)),
            cookie: entry.cookie,
            name_attributes: Some(encode(entry.id, &entry.attributes)),
            name_handle: Some(entry.id.into()),
        })
    }
}

fn made((id, found): NewInode) -> (FileHandleU64, fattr3) {
    (id.into(), encode(id, &found))
}
