//! What a call is about, read from its arguments before they are decoded: all of NFSv3's begin with a handle.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::ProcedureNumber;
use crate::handle::{FileHandle, HandleKey};
use crate::view::{PATH_MAX, View};
use crate::xdr::{Decode, Decoder, Garbage};

/// What a call is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) procedure: u32,
    /// The paths of the files in the view: two for RENAME and LINK. None if the handle is nobody's.
    pub(crate) paths: Vec<PathBuf>,
    /// How many bytes a READ or a WRITE carries.
    pub(crate) bytes: u64,
}

/// The arguments that follow the handle.
enum ArgumentForm {
    Nothing,
    Name,
    /// Another handle and a name.
    Link,
    /// A name, another handle and a name.
    Rename,
    /// An offset and a count.
    Bytes,
}

impl Target {
    /// Of a call with these arguments.
    pub(crate) fn of(view: &View, key: &HandleKey, procedure: u32, arguments: &[u8]) -> Target {
        let mut target = Target { procedure, paths: Vec::new(), bytes: 0 };
        // What cannot be decoded is about nothing, and is refused by whoever decodes it.
        let _ = target.read(view, key, &mut Decoder::new(arguments));
        target
    }

    /// Whether it is about the root alone, without which there is no mount.
    pub(crate) fn is_root(&self) -> bool {
        self.paths.iter().all(|path| path == Path::new("/"))
    }

    fn read(&mut self, view: &View, key: &HandleKey, from: &mut Decoder<'_>) -> Result<(), Garbage> {
        let path = |handle| key.verify(handle).and_then(|id| view.node(id).ok()).map(|node| view.path(&node));
        let (first, form) = (path(FileHandle::decode(from)?), ArgumentForm::of(self.procedure));
        let named = |directory: Option<PathBuf>, from: &mut Decoder<'_>| {
            let name = OsStr::from_bytes(from.opaque(PATH_MAX)?);
            Ok(directory.map(|directory| directory.join(name)))
        };
        match form {
            ArgumentForm::Nothing => self.paths.extend(first),
            ArgumentForm::Name => self.paths.extend(named(first, from)?),
            ArgumentForm::Link => {
                self.paths.extend(first);
                let directory = path(FileHandle::decode(from)?);
                self.paths.extend(named(directory, from)?);
            }
            ArgumentForm::Rename => {
                self.paths.extend(named(first, from)?);
                let directory = path(FileHandle::decode(from)?);
                self.paths.extend(named(directory, from)?);
            }
            ArgumentForm::Bytes => {
                self.paths.extend(first);
                from.u64()?;
                self.bytes = from.u32()?.into();
            }
        }
        Ok(())
    }
}

impl ArgumentForm {
    fn of(procedure: u32) -> ArgumentForm {
        match ProcedureNumber(procedure).name() {
            "lookup" | "create" | "mkdir" | "symlink" | "mknod" | "remove" | "rmdir" => ArgumentForm::Name,
            "link" => ArgumentForm::Link,
            "rename" => ArgumentForm::Rename,
            "read" | "write" => ArgumentForm::Bytes,
            _ => ArgumentForm::Nothing,
        }
    }
}
