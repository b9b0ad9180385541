//! Which of loopbox's streams are the terminal that a program is to have one of its own for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, fstat};
use rustix::termios::isatty;

/// Standard input, output and error: whether each is the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams(pub [bool; 3]);

/// What a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    /// A terminal, by its device's number.
    Terminal(u64),
    /// A pipe or a socket, whose other end may well use the terminal at the same time: a pager does.
    Pipe,
    /// A file, or something else that nobody is behind.
    File,
}

impl Streams {
    /// Looks at them. `None` when the program gets them as they are.
    pub fn look() -> Option<Streams> {
        Streams::choose([kind(io::stdin()), kind(io::stdout()), kind(io::stderr())])
    }

    fn choose(streams: [Stream; 3]) -> Option<Streams> {
        let Stream::Terminal(number) = streams[0] else { return None };
        let is_it = streams.map(|stream| stream == Stream::Terminal(number));
        let others = streams.iter().zip(is_it).filter(|(_, is_it)| !is_it);
        let shown = is_it[1] || is_it[2];
        (shown && others.clone().all(|(stream, _)| *stream == Stream::File)).then_some(Streams(is_it))
    }
}

#[allow(clippy::unnecessary_cast, reason = "a device's number has 32 bits on macOS")]
fn kind(stream: impl AsFd) -> Stream {
    let stream: BorrowedFd<'_> = stream.as_fd();
    match fstat(stream) {
        Ok(status) if isatty(stream) => Stream::Terminal(status.st_rdev as u64),
        Ok(status) => match FileType::from_raw_mode(status.st_mode) {
            FileType::Fifo | FileType::Socket => Stream::Pipe,
            _ => Stream::File,
        },
        Err(_) => Stream::File,
    }
}

#[cfg(test)]
mod tests {
    use super::Stream::{File, Pipe, Terminal};
    use super::Streams;

    #[test]
    fn a_terminal_is_passed_through_unless_another_program_may_use_it_too() {
        let choose = |streams| Streams::choose(streams).map(|streams| streams.0);
        let one = Terminal(1);
        assert_eq!(choose([one, one, one]), Some([true, true, true]));
        assert_eq!(choose([one, one, File]), Some([true, true, false]));
        assert_eq!(choose([one, File, one]), Some([true, false, true]));
        assert_eq!(choose([one, Pipe, one]), None, "a pager reads keys from the terminal");
        assert_eq!(choose([one, one, Pipe]), None);
        assert_eq!(choose([one, File, File]), None, "nothing would be shown");
        assert_eq!(choose([File, one, one]), None);
        assert_eq!(choose([Pipe, one, one]), None);
        assert_eq!(choose([one, Terminal(2), one]), None, "these are two terminals");
    }
}
