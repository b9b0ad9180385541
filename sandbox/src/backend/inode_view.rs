//! A view as crates that serve file systems over NFS want one: every file by a number, and the same caller always.
//!
//! What their traits leave out is not here: who calls, the mode of a new directory, LINK and MKNOD.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nfs_server::view::{
    Attributes, Blocking, Caller, CreateMode, DirEntry, Error, NewNode, SetAttributes, View,
};
use nfs_server::{SillyNames, SillyRenames};

use mounter::jail::User;

/// Places in directories that are remembered. The kernel's client asks for some hundred entries at a time, so these are
/// those of many listings at once; a place that was forgotten is looked for.
const PLACES: usize = 1 << 16;

/// A view whose nodes are addressed by inode number.
pub struct InodeView {
    view: Arc<View>,
    user: User,
    silly: SillyRenames,
    /// Where listings go on behind an entry that is named by its file and not by a cookie: by directory and file.
    behind: Mutex<HashMap<(u64, u64), u64>>,
}

/// An entry of a directory.
#[derive(Clone, Debug)]
pub struct InodeEntry {
    /// Where the listing goes on behind it.
    pub cookie: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// Its number.
    pub id: u64,
    /// Its attributes.
    pub attributes: Attributes,
}

/// Some entries of a directory, and whether they are the last ones.
pub type DirPage = (Vec<InodeEntry>, bool);

/// A file by its number, and its attributes.
pub type NewInode = (u64, Attributes);

impl InodeView {
    /// A view, for this user whoever calls.
    #[must_use]
    pub fn new(view: Arc<View>, user: User) -> InodeView {
        InodeView { view, user, silly: SillyRenames::new(SillyNames::default()), behind: Mutex::default() }
    }

    /// The root's number.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.view.root().id()
    }

    /// LOOKUP.
    ///
    /// # Errors
    /// Here and below: what the view says.
    pub fn lookup(&self, directory: u64, name: &[u8]) -> Result<u64, Error> {
        let directory = self.view.node(directory)?;
        let found = self.view.lookup(&directory, name, self.caller());
        if matches!(found, Ok(_) | Err(Error::NotFound)) {
            self.silly.looked_up(&self.view, &directory, name, found.is_ok());
        }
        found.map(|(node, _)| node.id())
    }

    /// GETATTR.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn attributes(&self, id: u64) -> Result<Attributes, Error> {
        self.view.attributes(&self.view.node(id)?)
    }

    /// SETATTR.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn set(&self, id: u64, set: &SetAttributes) -> Result<Attributes, Error> {
        self.view.writable(self.view.node(id)?)?.set(set, self.caller())
    }

    /// READ: the data, and whether it is the last.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn read(&self, id: u64, offset: u64, count: u32) -> Result<(Vec<u8>, bool), Error> {
        let mut data = vec![0; count as usize];
        let node = self.view.node(id)?;
        let read = self.view.read(&node, offset, &mut data, self.caller(), Blocking::Allowed)?;
        data.truncate(read.count);
        Ok((data, read.eof))
    }

    /// WRITE, all of it.
    ///
    /// # Errors
    /// As of LOOKUP; [`Error::NoSpace`] when the host took a part only.
    pub fn write(&self, id: u64, offset: u64, data: &[u8], sync: bool) -> Result<Attributes, Error> {
        let writable = self.view.writable(self.view.node(id)?)?;
        let written = writable.write(offset, data, sync, self.caller(), Blocking::Allowed)?;
        if written.count < data.len() { Err(Error::NoSpace) } else { Ok(written.attributes) }
    }

    /// CREATE.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn create(
        &self,
        directory: u64,
        name: &[u8],
        how: CreateMode,
        set: &SetAttributes,
    ) -> Result<NewInode, Error> {
        let writable = self.view.writable(self.view.node(directory)?)?;
        let (node, attributes) = writable.create(name, how, set, self.caller())?;
        Ok((node.id(), attributes))
    }

    /// MKDIR and SYMLINK.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn make(
        &self,
        directory: u64,
        name: &[u8],
        new: NewNode<'_>,
        set: &SetAttributes,
    ) -> Result<NewInode, Error> {
        let writable = self.view.writable(self.view.node(directory)?)?;
        let (node, attributes) = writable.make(name, new, set, self.caller())?;
        Ok((node.id(), attributes))
    }

    /// REMOVE and RMDIR, which these crates do not tell apart.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn remove(&self, directory: u64, name: &[u8]) -> Result<(), Error> {
        let writable = self.view.writable(self.view.node(directory)?)?;
        match writable.remove(name, self.caller()) {
            Err(Error::IsDirectory) => writable.remove_directory(name, self.caller()),
            result => result,
        }
    }

    /// RENAME.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn rename(&self, from: (u64, &[u8]), to: (u64, &[u8])) -> Result<(), Error> {
        let source = self.view.writable(self.view.node(from.0)?)?;
        let target = self.view.writable(self.view.node(to.0)?)?;
        let is_silly = |file: &Attributes| self.silly.is_silly(source.node(), to.1, file);
        source.rename(from.1, &target, to.1, self.caller(), &is_silly)
    }

    /// READLINK.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn read_link(&self, id: u64) -> Result<Vec<u8>, Error> {
        self.view.read_link(&self.view.node(id)?)
    }

    /// READDIR from behind a cookie.
    ///
    /// # Errors
    /// As of LOOKUP.
    pub fn list(&self, directory: u64, cookie: u64, most: usize) -> Result<DirPage, Error> {
        let mut entries = Vec::new();
        let end = self.walk(directory, cookie, &mut |listed| {
            if entries.len() == most {
                return false;
            }
            entries.push(InodeEntry {
                cookie: listed.cookie,
                name: listed.name.to_vec(),
                id: listed.node.id(),
                attributes: listed.attributes,
            });
            true
        })?;
        Ok((entries, end))
    }

    /// READDIR from behind a file that an earlier listing ended with, 0 for all of the directory. Of a file that has two
    /// names in it, either may be meant.
    ///
    /// # Errors
    /// As of LOOKUP; [`Error::Invalid`] when the file is not there any more and its place was forgotten.
    pub fn list_behind(&self, directory: u64, file: u64, most: usize) -> Result<DirPage, Error> {
        let cookie = if file == 0 { 0 } else { self.place(directory, file)? };
        let listing = self.list(directory, cookie, most)?;
        let mut behind = self.behind();
        if behind.len() + listing.0.len() > PLACES {
            behind.clear();
        }
        // Any of them may be the last that fits the reply.
        behind.extend(listing.0.iter().map(|entry| ((directory, entry.id), entry.cookie)));
        Ok(listing)
    }

    fn place(&self, directory: u64, file: u64) -> Result<u64, Error> {
        if let Some(cookie) = self.behind().get(&(directory, file)) {
            return Ok(*cookie);
        }
        let mut found = None;
        self.walk(directory, 0, &mut |listed| {
            found = (listed.node.id() == file).then_some(listed.cookie);
            found.is_none()
        })?;
        found.ok_or(Error::Invalid)
    }

    fn walk(
        &self,
        directory: u64,
        cookie: u64,
        take: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<bool, Error> {
        self.view.readdir(&self.view.node(directory)?, cookie, self.caller(), Blocking::Allowed, take)
    }

    fn behind(&self) -> MutexGuard<'_, HashMap<(u64, u64), u64>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caller(&self) -> Caller<'_> {
        Caller { uid: self.user.uid, gid: self.user.gid, groups: &self.user.groups }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nfs_server::view::{Access, Entry, ViewSpec};

    use super::*;

    #[test]
    fn a_listing_goes_on_behind_a_file_also_when_its_place_was_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let names: BTreeSet<String> = (0..20).map(|number| format!("file-{number}")).collect();
        names.iter().for_each(|name| std::fs::write(directory.path().join(name), name).unwrap());
        let (at, source) = ("/shown".into(), directory.path().into());
        let graft = Entry::Graft { at, source, access: Access::Ro, optional: false };
        let view = View::open(&ViewSpec { entries: vec![graft] }, None).unwrap();
        let inode_view = InodeView::new(Arc::new(view), User::new(0, 0));
        let shown = inode_view.lookup(inode_view.root(), b"shown").unwrap();
        let (mut found, mut last) = (Vec::new(), 0);
        loop {
            let (entries, end) = inode_view.list_behind(shown, last, 3).unwrap();
            last = entries.last().map_or(last, |entry| entry.id);
            found.extend(entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()));
            if end {
                break;
            }
            inode_view.behind().clear();
        }
        assert_eq!(found.len(), names.len() + 2, "with . and ..: {found:?}");
        assert!(names.iter().all(|name| found.contains(name)), "{found:?}");
        assert_eq!(inode_view.list_behind(shown, u64::MAX, 3).unwrap_err(), Error::Invalid);
    }
}
