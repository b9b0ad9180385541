//! The calls that change nothing.

use nfs3_types::nfs3::nfsstat3::*;
use nfs3_types::nfs3::{READ3args, diropargs3, nfs_fh3};

use super::super::call::{Call, User};
use super::permission::{EXECUTE, READ, WRITE, check_name};
use super::{Contents, Expected, Given, Listing, Model, Part, ROOT};

/// The most that READ gives at once.
const TRANSFER_MAX: u64 = 1 << 20;
/// The largest reply to READDIRPLUS with one entry, in bytes: its name has 255 at most.
const ENTRY_MAX: u32 = 1024;

impl Model {
    /// What a call gives, after it was carried out.
    pub(super) fn carry_out(&mut self, call: &Call, user: &User) -> Expected {
        match call {
            Call::Null | Call::Mount(_) => Ok(Given::Nothing),
            Call::GetAttr(arguments) => self.node(&arguments.object).map(Given::Object),
            Call::Lookup(arguments) => self.lookup(&arguments.what, user),
            Call::Access(arguments) => self.access(&arguments.object, arguments.access, user),
            Call::ReadLink(arguments) => match &self.nodes[self.node(&arguments.symlink)?].contents {
                Contents::Symlink(target) => Ok(Given::Target(target.clone())),
                _ => Err(NFS3ERR_INVAL.into()),
            },
            Call::Read(arguments) => self.read(arguments, user),
            Call::ReadDir(arguments) => self.list(&arguments.dir, arguments.cookie, arguments.count, user),
            Call::ReadDirPlus(arguments) => {
                self.list(&arguments.dir, arguments.cookie, arguments.maxcount, user)
            }
            Call::FsStat(arguments) => self.node(&arguments.fsroot).map(Given::Object),
            Call::FsInfo(arguments) => self.node(&arguments.fsroot).map(Given::Object),
            Call::PathConf(arguments) => self.node(&arguments.object).map(Given::Object),
            changing => self.change(changing, user),
        }
    }

    fn lookup(&self, what: &diropargs3<'_>, user: &User) -> Expected {
        let directory = self.node(&what.dir)?;
        self.check_directory(directory)?;
        user.check_search(&self.nodes[directory])?;
        let found = match what.name.as_ref() {
            b"." => Some(directory),
            b".." => Some(self.parent(directory)),
            name => {
                check_name(name)?;
                self.child(directory, name)
            }
        };
        found.map(Given::Object).ok_or(NFS3ERR_NOENT.into())
    }

    fn parent(&self, directory: usize) -> usize {
        match &self.nodes[directory].contents {
            Contents::Directory { parent, .. } => *parent,
            _ => ROOT,
        }
    }

    fn access(&self, object: &nfs_fh3, asked: u32, user: &User) -> Expected {
        let number = self.node(object)?;
        let node = &self.nodes[number];
        // The bits for writing and executing (RFC 1813, section 3.3.4).
        let (write, execute) = if self.is_directory(number) { (0x1c, 0x02) } else { (0x0c, 0x20) };
        // A file that nobody can change is opened for writing by nobody.
        let is_file = matches!(node.contents, Contents::File(_));
        let writes = !is_file || node.part == Part::Scratch;
        let bits = [(READ, 0x01, true), (WRITE, write, writes), (EXECUTE, execute, true)];
        let granted = bits.iter().filter(|(bit, _, open)| *open && user.may(*bit, node));
        let granted = granted.fold(0, |all, (_, bits, _)| all | bits);
        Ok(Given::Access(number, granted & asked))
    }

    fn read(&self, arguments: &READ3args, user: &User) -> Expected {
        let node = &self.nodes[self.node(&arguments.file)?];
        let bytes = match &node.contents {
            Contents::File(bytes) => bytes,
            Contents::Directory { .. } => return Err(NFS3ERR_ISDIR.into()),
            _ => return Err(NFS3ERR_INVAL.into()),
        };
        // Who may run a program may read it, and an owner goes on reading what it has opened.
        if !user.owns(node) && !user.may(READ, node) && !user.may(EXECUTE, node) {
            return Err(NFS3ERR_ACCES.into());
        }
        let size = bytes.len() as u64;
        let from = arguments.offset.min(size);
        let count = u64::from(arguments.count).min(TRANSFER_MAX);
        let to = size.min(from + count);
        Ok(Given::Data(bytes[from as usize..to as usize].to_vec(), to == size))
    }

    /// Whatever the client can take: what is listed is compared, and not how much of it.
    fn list(&self, directory: &nfs_fh3, cookie: u64, count: u32, user: &User) -> Expected {
        let directory = self.node(directory)?;
        self.check_directory(directory)?;
        user.check_read(&self.nodes[directory])?;
        Ok(Given::Names(Listing { directory, whole: cookie == 0, small: count < ENTRY_MAX }))
    }
}
