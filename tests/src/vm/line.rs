//! The one line between an emulated machine and the host, in pieces: what the program prints, and its exit status last.
//!
//! A port of the machine's says nothing of whether the host has read what was written to it, and what it has not read is
//! lost when the machine is off. So all goes one way in order, and the machine waits for an answer to the last piece.

use std::io::{self, Read, Write};

use anyhow::{Context, Result, bail};

/// The longest piece: more is not taken from a pipe at once.
pub const PIECE_MAX: usize = 16 * 1024;
/// The answer to the last piece.
pub const TAKEN: u8 = b'.';
/// Before each piece: what it is, and how long, little-endian.
const HEAD: usize = 5;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of standard output.
    Output = 1,
    /// Of standard error.
    Error = 2,
    /// The exit status in decimal; nothing comes after it.
    Status = 3,
}

/// Sends a piece.
pub fn send(mut to: impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut piece = Vec::with_capacity(HEAD + bytes.len());
    piece.push(kind as u8);
    piece.extend_from_slice(&length.to_le_bytes());
    piece.extend_from_slice(bytes);
    to.write_all(&piece)
}

/// Passes output on until the exit status comes, which is returned; none if the machine ends before.
pub fn receive(mut from: impl Read, mut output: impl Write, mut error: impl Write) -> Result<Option<i32>> {
    loop {
        let mut head = [0; HEAD];
        match from.read_exact(&mut head) {
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.context("cannot read what the machine says")?,
        }
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes(length))?;
        if length > PIECE_MAX {
            bail!("the machine says {length} bytes at once, which nobody sends");
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes).context("the machine ended in the middle of what it said")?;
        // Whoever reads no more is no reason to stop the program.
        match kind {
            1 => drop(output.write_all(&bytes).and_then(|()| output.flush())),
            2 => drop(error.write_all(&bytes).and_then(|()| error.flush())),
            3 => {
                let status = String::from_utf8_lossy(&bytes);
                return Ok(Some(status.parse().context("the machine left no number as the exit status")?));
            }
            other => bail!("the machine says something of kind {other}, which there is not"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(said: &[u8]) -> (Result<Option<i32>>, Vec<u8>, Vec<u8>) {
        let (mut output, mut error) = (Vec::new(), Vec::new());
        (receive(said, &mut output, &mut error), output, error)
    }

    #[test]
    fn output_and_status_come_through_unchanged() {
        let mut said = Vec::new();
        for (kind, bytes) in [
            (Kind::Output, &b"a\r\n\0"[..]),
            (Kind::Error, b"err\n"),
            (Kind::Output, b"\xff"),
            (Kind::Status, b"7"),
        ] {
            send(&mut said, kind, bytes).unwrap();
        }
        let (status, output, error) = received(&said);
        assert_eq!(status.unwrap(), Some(7));
        assert_eq!(output, b"a\r\n\0\xff");
        assert_eq!(error, b"err\n");
    }

    #[test]
    fn a_machine_that_ends_early_has_no_status() {
        let mut said = Vec::new();
        send(&mut said, Kind::Output, b"half").unwrap();
        assert_eq!(received(&said).0.unwrap(), None);
        assert!(received(&said[..said.len() - 1]).0.is_err());
    }

    #[test]
    fn what_is_no_piece_is_an_error() {
        for said in [&b"\x09\0\0\0\0"[..], b"\x01\xff\xff\xff\xff", b"\x03\x01\0\0\0x"] {
            assert!(received(said).0.is_err(), "{said:?}");
        }
    }
}
