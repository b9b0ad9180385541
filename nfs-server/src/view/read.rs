//! The data of files.

use super::View;
use super::attributes::Kind;
use super::caller::{Caller, Want};
use super::declared;
use super::error::Error;
use super::locate::check_regular;
use super::node::Node;
use super::tree::Shape;

/// How much of a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Bytes read.
    pub count: usize,
    /// Whether the file ends behind them.
    pub end: bool,
}

impl View {
    /// Reads from `offset` on, as much as fits `into`.
    ///
    /// Whoever may run a file may read it here, and so may its owner: the kernel loads programs through the same
    /// call, and a descriptor stays readable after a change of mode.
    ///
    /// # Errors
    /// [`Error::Access`] when the caller may neither read nor run it.
    pub fn read(&self, node: &Node, offset: u64, into: &mut [u8], caller: Caller<'_>) -> Result<Read, Error> {
        check_regular(self.kind(node))?;
        let permissions = self.permissions(node)?;
        let allowed = caller.owns(permissions)
            || caller.may(Want::Read, Kind::Regular, permissions)
            || caller.may(Want::Execute, Kind::Regular, permissions);
        if !allowed {
            return Err(Error::Access);
        }
        match node {
            Node::Declared(index) if self.branch(node).is_none() => {
                let Shape::Inline { contents, .. } = &declared(&self.tree, *index).shape else {
                    return Err(Error::Invalid);
                };
                Ok(copy(contents, offset, into))
            }
            _ => self.read_host(node, offset, into),
        }
    }

    fn read_host(&self, node: &Node, offset: u64, into: &mut [u8]) -> Result<Read, Error> {
        let Ok(start) = i64::try_from(offset) else { return Ok(Read { count: 0, end: true }) };
        let read_at = |descriptor: &std::os::fd::OwnedFd, into: &mut [u8]| -> Result<Read, Error> {
            let mut count = 0;
            while count < into.len() {
                let position = start.checked_add(count as i64).ok_or(Error::Invalid)?;
                match nix::sys::uio::pread(descriptor, &mut into[count..], position) {
                    Ok(0) => return Ok(Read { count, end: true }),
                    Ok(read) => count += read,
                    Err(nix::errno::Errno::EINTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            // Everything asked for: whether more follows is not known yet, and the protocol wants it told.
            let size = u64::try_from(nix::sys::stat::fstat(descriptor)?.st_size).unwrap_or(0);
            Ok(Read { count, end: offset.saturating_add(count as u64) >= size })
        };
        if let Node::Host(host) = node
            && let Some(file) = host.orphan()
        {
            return read_at(&file, into);
        }
        read_at(&self.file(node, false)?.descriptor, into)
    }
}

fn copy(contents: &[u8], offset: u64, into: &mut [u8]) -> Read {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(contents.len());
    let count = into.len().min(contents.len() - start);
    into[..count].copy_from_slice(&contents[start..start + count]);
    Read { count, end: start + count == contents.len() }
}
