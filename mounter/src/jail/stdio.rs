//! The standard streams of a program.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// The standard streams of the program, made for it alone: what the caller has itself is carried
/// ([`Streams`](super::Streams)).
#[derive(Debug)]
pub struct StdioFds {
    /// Descriptor 0.
    pub stdin: OwnedFd,
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
}

impl StdioFds {
    /// Nothing to read, and what is written is thrown away.
    ///
    /// # Errors
    /// If the system has no `/dev/null`.
    pub fn null() -> io::Result<StdioFds> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        Ok(StdioFds {
            stdin: null.try_clone()?.into(),
            stdout: null.try_clone()?.into(),
            stderr: null.into(),
        })
    }
}
