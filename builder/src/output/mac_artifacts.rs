//! Files that a view leaves in outputs on macOS only: AppleDouble files with extended attributes, and markers of special
//! files.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use sandbox::view::is_special_file_marker;

use super::tree::Kind;

/// The longest beginning that is looked at, in bytes.
const BEGINNING: usize = 256;

/// What a file with the extended attributes of another starts with: AppleDouble's magic number and version (`ADH_MAGIC` and
/// `ADH_VERSION` of `bsd/vfs/vfs_xattr.c`).
const APPLE_DOUBLE: [u8; 8] = [0x00, 0x05, 0x16, 0x07, 0x00, 0x02, 0x00, 0x00];

/// What a regular file in an output really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MacArtifact {
    /// The extended attributes of the file beside it, kept so by the kernel, as NFS has none. A store has none either.
    Attributes,
    /// A named pipe or a socket.
    SpecialFileMarker,
}

/// What a file of this name with this beginning is, if no file of the build's own.
fn artifact(name: &[u8], beginning: &[u8]) -> Option<MacArtifact> {
    if name.starts_with(b"._") && beginning.starts_with(&APPLE_DOUBLE) {
        return Some(MacArtifact::Attributes);
    }
    is_special_file_marker(beginning).then_some(MacArtifact::SpecialFileMarker)
}

/// The same of an open file.
pub(super) fn examine(name: &[u8], opened: &OwnedFd, stat: &FileStat) -> Result<Option<MacArtifact>, Errno> {
    if Kind::of(stat) != Kind::File {
        return Ok(None);
    }
    let mut beginning = [0; BEGINNING];
    let count = nix::sys::uio::pread(opened, &mut beginning, 0)?;
    Ok(artifact(name, &beginning[..count]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_told_by_name_and_magic_together() {
        let contents = [&APPLE_DOUBLE[..], b"Mac OS X        "].concat();
        assert_eq!(artifact(b"._file", &contents), Some(MacArtifact::Attributes));
        assert_eq!(
            artifact(b"._.", &contents),
            Some(MacArtifact::Attributes),
            "those of the directory itself"
        );
        assert_eq!(artifact(b"file", &contents), None, "a build may well make one by another name");
        assert_eq!(artifact(b"._file", b"text"), None);
        assert_eq!(artifact(b"._file", &APPLE_DOUBLE[..7]), None);
        assert_eq!(artifact(b"._file", b""), None);
    }
}
