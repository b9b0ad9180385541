//! The calls that change something.

use std::collections::BTreeMap;

use nfs3_types::nfs3::nfsstat3::*;
use nfs3_types::nfs3::{
    CREATE3args, LINK3args, Nfs3Option, RENAME3args, SETATTR3args, WRITE3args, createhow3, diropargs3,
    mknoddata3, sattr3,
};

use super::super::call::{Call, User};
use super::permission::{check_mode, check_name};
use super::{Contents, Expected, Given, Model, Node, Part, Refusal};

/// The most bytes in the text of a symbolic link.
const PATH_MAX: usize = 4096;

impl Model {
    pub(super) fn change(&mut self, call: &Call, user: &User) -> Expected {
        match call {
            Call::SetAttr(arguments) => self.setattr(arguments, user),
            Call::Write(arguments) => self.write(arguments, user),
            Call::Create(arguments) => self.create(arguments, user),
            Call::MkDir(arguments) => {
                let new = Contents::Directory { names: BTreeMap::new(), parent: 0 };
                self.make(&arguments.where_, new, &arguments.attributes, user)
            }
            Call::Symlink(arguments) => {
                let target = arguments.symlink.symlink_data.as_ref().to_vec();
                let set = sattr3 { mode: Nfs3Option::None, ..arguments.symlink.symlink_attributes.clone() };
                self.make(&arguments.where_, Contents::Symlink(target), &set, user)
            }
            Call::MkNod(arguments) => match &arguments.what {
                mknoddata3::NF3FIFO(set) => self.make(&arguments.where_, Contents::Fifo, set, user),
                mknoddata3::NF3SOCK(set) => self.make(&arguments.where_, Contents::Socket, set, user),
                _ => Err(NFS3ERR_PERM.into()),
            },
            Call::Remove(arguments) => self.remove(&arguments.object, false, user),
            Call::RmDir(arguments) => self.remove(&arguments.object, true, user),
            Call::Rename(arguments) => self.rename(arguments, user),
            Call::Link(arguments) => self.link(arguments, user),
            Call::Commit(arguments) => {
                let node = self.writable(&arguments.file)?;
                self.bytes(node).map(|_| Given::Object(node))
            }
            other => unreachable!("{other:?} changes nothing"),
        }
    }

    fn bytes(&mut self, node: usize) -> Result<&mut Vec<u8>, Refusal> {
        match &mut self.nodes[node].contents {
            Contents::File(bytes) => Ok(bytes),
            Contents::Directory { .. } => Err(NFS3ERR_ISDIR.into()),
            _ => Err(NFS3ERR_INVAL.into()),
        }
    }

    fn setattr(&mut self, arguments: &SETATTR3args, user: &User) -> Expected {
        let number = self.writable(&arguments.object)?;
        if arguments.guard.is_some() {
            return Err(NFS3ERR_NOT_SYNC.into());
        }
        let mut set = arguments.new_attributes.clone();
        if matches!(self.nodes[number].contents, Contents::Symlink(_)) {
            set.mode = Nfs3Option::None;
        }
        self.set(number, &set, user)?;
        Ok(Given::Object(number))
    }

    fn set(&mut self, number: usize, set: &sattr3, user: &User) -> Result<(), Refusal> {
        user.check_set(set, &self.nodes[number])?;
        if let Nfs3Option::Some(size) = set.size {
            let bytes = self.bytes(number)?;
            bytes.resize(
                usize::try_from(size).ok().filter(|_| size <= i64::MAX as u64).ok_or(NFS3ERR_FBIG)?,
                0,
            );
        }
        let node = &mut self.nodes[number];
        if let Nfs3Option::Some(mode) = set.mode {
            node.mode = mode & 0o1777;
        }
        if let Nfs3Option::Some(uid) = set.uid {
            node.uid = uid;
        }
        if let Nfs3Option::Some(gid) = set.gid {
            node.gid = gid;
        }
        Ok(())
    }

    fn write(&mut self, arguments: &WRITE3args<'_>, user: &User) -> Expected {
        let data: &[u8] = arguments.data.as_ref();
        if data.len() != arguments.count as usize {
            return Err(NFS3ERR_INVAL.into());
        }
        let number = self.writable(&arguments.file)?;
        self.bytes(number)?;
        user.check_write(&self.nodes[number])?;
        let end = arguments.offset.checked_add(data.len() as u64).filter(|end| *end <= i64::MAX as u64);
        end.ok_or(NFS3ERR_FBIG)?;
        let (bytes, from) = (self.bytes(number)?, arguments.offset as usize);
        if !data.is_empty() {
            bytes.resize(bytes.len().max(from + data.len()), 0);
            bytes[from..from + data.len()].copy_from_slice(data);
        }
        Ok(Given::Written(number, arguments.count))
    }

    /// A directory in which a name is to be made.
    fn making(&self, place: &diropargs3<'_>) -> Result<usize, Refusal> {
        let directory = self.node(&place.dir)?;
        if self.nodes[directory].part != Part::Scratch {
            return Err(Refusal::ReadOnly);
        }
        match place.name.as_ref() {
            b"." | b".." => return Err(Refusal::Either(&[NFS3ERR_EXIST, NFS3ERR_NOTDIR])),
            name => check_name(name)?,
        }
        Ok(directory)
    }

    fn create(&mut self, arguments: &CREATE3args<'_>, user: &User) -> Expected {
        let place = &arguments.where_;
        let (set, verifier) = match &arguments.how {
            createhow3::UNCHECKED(set) | createhow3::GUARDED(set) => (set.clone(), None),
            createhow3::EXCLUSIVE(verifier) => {
                (sattr3 { mode: Nfs3Option::Some(0o600), ..sattr3::default() }, Some(verifier.0))
            }
        };
        let directory = self.making(place)?;
        mode_of(&set)?;
        self.check_directory(directory)?;
        user.check_search(&self.nodes[directory])?;
        let Some(found) = self.child(directory, place.name.as_ref()) else {
            let made = self.make(place, Contents::File(Vec::new()), &set, user)?;
            if let Given::Object(node) = made {
                self.nodes[node].verifier = verifier;
            }
            return Ok(made);
        };
        match &arguments.how {
            createhow3::EXCLUSIVE(_) if self.nodes[found].verifier == verifier => Ok(Given::Object(found)),
            createhow3::UNCHECKED(_) if matches!(self.nodes[found].contents, Contents::File(_)) => {
                self.set(found, &sattr3 { size: set.size, ..sattr3::default() }, user)?;
                Ok(Given::Object(found))
            }
            _ => Err(NFS3ERR_EXIST.into()),
        }
    }

    fn make(&mut self, place: &diropargs3<'_>, new: Contents, set: &sattr3, user: &User) -> Expected {
        let directory = self.making(place)?;
        let name = place.name.as_ref();
        let mode = mode_of(set)?;
        self.check_directory(directory)?;
        let exists = self.child(directory, name).is_some();
        match user.check_names(&self.nodes[directory]) {
            Err(_) if exists => return Err(Refusal::Either(&[NFS3ERR_ACCES, NFS3ERR_EXIST])),
            checked => checked?,
        }
        let bad_target = match &new {
            Contents::Symlink(target) if target.is_empty() || target.contains(&0) => Some(NFS3ERR_INVAL),
            Contents::Symlink(target) if target.len() > PATH_MAX => Some(NFS3ERR_NAMETOOLONG),
            _ => None,
        };
        match (bad_target, exists) {
            (Some(_), true) => {
                return Err(Refusal::Either(&[NFS3ERR_INVAL, NFS3ERR_NAMETOOLONG, NFS3ERR_EXIST]));
            }
            (Some(status), false) => return Err(status.into()),
            (None, true) => return Err(NFS3ERR_EXIST.into()),
            (None, false) => {}
        }
        let size = match set.size {
            Nfs3Option::Some(size) if matches!(new, Contents::File(_)) => length(size)?,
            _ => 0,
        };
        let default =
            if matches!(new, Contents::Directory { .. } | Contents::Symlink(_)) { 0o777 } else { 0o666 };
        let new = match new {
            Contents::Directory { names, .. } => Contents::Directory { names, parent: directory },
            Contents::File(_) => Contents::File(vec![0; size]),
            other => other,
        };
        let node = Node {
            contents: new,
            mode: mode.unwrap_or(default) & 0o1777,
            uid: user.uid,
            gid: user.gid,
            links: 1,
            part: Part::Scratch,
            handle: None,
            verifier: None,
            number: None,
        };
        self.nodes.push(node);
        let number = self.nodes.len() - 1;
        self.names_mut(directory).insert(name.to_vec(), number);
        self.own(number, set, user);
        Ok(Given::Object(number))
    }

    /// Owners of something new: what the maker may not set is not set, and not refused.
    fn own(&mut self, number: usize, set: &sattr3, user: &User) {
        let node = &mut self.nodes[number];
        if let Nfs3Option::Some(uid) = set.uid
            && user.uid == 0
        {
            node.uid = uid;
        }
        if let Nfs3Option::Some(gid) = set.gid
            && (user.uid == 0 || user.is_in(gid))
        {
            node.gid = gid;
        }
    }

    pub(super) fn names_mut(&mut self, directory: usize) -> &mut BTreeMap<Vec<u8>, usize> {
        match &mut self.nodes[directory].contents {
            Contents::Directory { names, .. } => names,
            _ => unreachable!("it was a directory"),
        }
    }

    /// A directory in which a name is to be changed, and the name.
    fn changing(&self, place: &diropargs3<'_>, user: &User) -> Result<usize, Refusal> {
        let directory = self.writable(&place.dir)?;
        match place.name.as_ref() {
            b"." | b".." => return Err(NFS3ERR_INVAL.into()),
            name => check_name(name)?,
        }
        self.check_directory(directory)?;
        user.check_names(&self.nodes[directory])?;
        Ok(directory)
    }

    fn unlink(&mut self, directory: usize, name: &[u8]) {
        if let Some(node) = self.names_mut(directory).remove(name) {
            self.nodes[node].links -= 1;
        }
    }

    fn is_empty(&self, node: usize) -> bool {
        matches!(&self.nodes[node].contents, Contents::Directory { names, .. } if names.is_empty())
    }

    fn remove(&mut self, place: &diropargs3<'_>, directories: bool, user: &User) -> Expected {
        let directory = self.changing(place, user)?;
        let node = self.child(directory, place.name.as_ref()).ok_or(NFS3ERR_NOENT)?;
        match (directories, self.is_directory(node)) {
            (false, true) => return Err(NFS3ERR_ISDIR.into()),
            (true, false) => return Err(NFS3ERR_NOTDIR.into()),
            _ => {}
        }
        self.check_sticky(user, directory, node)?;
        if directories && !self.is_empty(node) {
            return Err(NFS3ERR_NOTEMPTY.into());
        }
        self.unlink(directory, place.name.as_ref());
        Ok(Given::Nothing)
    }

    fn link(&mut self, arguments: &LINK3args<'_>, user: &User) -> Expected {
        let (node, place) = (self.node(&arguments.file)?, &arguments.link);
        let directory = self.making(place)?;
        if self.nodes[node].part != Part::Scratch {
            return Err(NFS3ERR_XDEV.into());
        }
        if self.is_directory(node) {
            // The top of the scratch is an entry of the view.
            return Err(Refusal::Either(&[NFS3ERR_PERM, NFS3ERR_XDEV]));
        }
        self.check_directory(directory)?;
        user.check_names(&self.nodes[directory])?;
        if self.child(directory, place.name.as_ref()).is_some() {
            return Err(NFS3ERR_EXIST.into());
        }
        self.nodes[node].links += 1;
        self.names_mut(directory).insert(place.name.as_ref().to_vec(), node);
        Ok(Given::Object(node))
    }

    fn rename(&mut self, arguments: &RENAME3args<'_, '_>, user: &User) -> Expected {
        let (from, to) = (&arguments.from, &arguments.to);
        let (one, other) = (self.node(&from.dir)?, self.node(&to.dir)?);
        if self.nodes[one].part != self.nodes[other].part {
            return Err(NFS3ERR_XDEV.into());
        }
        if self.nodes[one].part != Part::Scratch {
            return Err(Refusal::ReadOnly);
        }
        for name in [from.name.as_ref(), to.name.as_ref()] {
            if matches!(name, b"." | b"..") {
                return Err(NFS3ERR_INVAL.into());
            }
            check_name(name)?;
        }
        let (source, target) = (self.changing(from, user)?, self.changing(to, user)?);
        let node = self.child(source, from.name.as_ref()).ok_or(NFS3ERR_NOENT)?;
        let replaced = self.child(target, to.name.as_ref());
        if replaced == Some(node) {
            return Ok(Given::Nothing);
        }
        self.check_sticky(user, source, node)?;
        if self.is_directory(node)
            && source != target
            && !user.may(super::permission::WRITE, &self.nodes[node])
        {
            return Err(NFS3ERR_ACCES.into());
        }
        if let Some(replaced) = replaced {
            self.check_sticky(user, target, replaced)?;
        }
        self.check_replaced(source, node, target, replaced)?;
        self.unlink(target, to.name.as_ref());
        self.names_mut(source).remove(from.name.as_ref());
        self.names_mut(target).insert(to.name.as_ref().to_vec(), node);
        if let Contents::Directory { parent, .. } = &mut self.nodes[node].contents {
            *parent = target;
        }
        Ok(Given::Nothing)
    }

    /// As rename(2): a directory goes neither below itself nor in the place of one that it is below.
    fn check_replaced(
        &self,
        source: usize,
        node: usize,
        target: usize,
        replaced: Option<usize>,
    ) -> Result<(), Refusal> {
        if self.is_below(target, node) {
            return Err(NFS3ERR_INVAL.into());
        }
        let Some(replaced) = replaced else { return Ok(()) };
        if self.is_below(source, replaced) {
            return Err(NFS3ERR_NOTEMPTY.into());
        }
        match (self.is_directory(node), self.is_directory(replaced)) {
            (true, false) => Err(NFS3ERR_NOTDIR.into()),
            (false, true) => Err(NFS3ERR_ISDIR.into()),
            (true, true) if !self.is_empty(replaced) => Err(NFS3ERR_NOTEMPTY.into()),
            _ => Ok(()),
        }
    }

    /// Whether a directory is another or lies below it.
    fn is_below(&self, directory: usize, other: usize) -> bool {
        let mut at = directory;
        loop {
            match &self.nodes[at].contents {
                _ if at == other => return true,
                Contents::Directory { parent, .. } if *parent != at => at = *parent,
                _ => return false,
            }
        }
    }
}

/// A length that a file may have (`off_t`).
fn length(size: u64) -> Result<usize, Refusal> {
    i64::try_from(size).ok().and_then(|size| size.try_into().ok()).ok_or(NFS3ERR_FBIG.into())
}

/// The mode that something new is to have, if any is said.
fn mode_of(set: &sattr3) -> Result<Option<u32>, Refusal> {
    match set.mode {
        Nfs3Option::Some(mode) => check_mode(mode).map(|()| Some(mode)).map_err(Refusal::from),
        Nfs3Option::None => Ok(None),
    }
}
