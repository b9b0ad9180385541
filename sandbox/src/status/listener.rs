//! A session's own side: where it answers, and to whom.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use nfs_server::CallCounts;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ServerStatus;

/// The most who are answered at once; others are turned away.
const WAITING_MAX: usize = 16;

/// How long those who ask wait, in milliseconds, while this process has no descriptor left for them.
const SHORTAGE: u16 = 100;

/// Where a session answers. The socket is removed with it.
pub(crate) struct StatusListener {
    listener: UnixListener,
    at: PathBuf,
    waiting: Vec<UnixStream>,
}

/// What a session says of itself besides its counters.
#[derive(Clone, Debug)]
pub(crate) struct StatusInfo {
    pub uid: u32,
    pub server_pid: u32,
    pub began: Instant,
    /// What runs in it, once that is known.
    pub program: Arc<OnceLock<PathBuf>>,
}

/// What [`StatusListener::wait`] waited for.
pub(crate) enum StatusEvent {
    /// Something can be read from the server.
    Server,
    /// Somebody asks, the first since the last answer.
    Asked,
}

impl StatusListener {
    /// At a socket that is not there yet.
    ///
    /// # Errors
    /// If it cannot be made there.
    pub fn at(path: &Path) -> io::Result<StatusListener> {
        let listener = at(path, |path| UnixListener::bind(path))?;
        listener.set_nonblocking(true)?;
        Ok(StatusListener { listener, at: path.into(), waiting: Vec::new() })
    }

    /// Waits until the server tells something, or somebody asks.
    pub fn wait(&mut self, server: BorrowedFd<'_>) -> StatusEvent {
        loop {
            let mut ready = [
                PollFd::new(server, PollFlags::POLLIN),
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
            ];
            if poll(&mut ready, PollTimeout::NONE).is_err() {
                // EINTR or ENOMEM.
                continue;
            }
            if ready[0].revents().is_some_and(|events| !events.is_empty()) {
                return StatusEvent::Server;
            }
            match self.listener.accept() {
                Ok(_) if self.waiting.len() >= WAITING_MAX => {}
                Ok((asks, _)) => {
                    self.waiting.push(asks);
                    if self.waiting.len() == 1 {
                        return StatusEvent::Asked;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Too much is open for the moment: whoever asks still waits, and the server may be heard.
                Err(_) => {
                    let _ = poll(&mut ready[..1], SHORTAGE);
                }
            }
        }
    }

    /// Answers all who have asked.
    pub fn answer(&mut self, calls: CallCounts, of: &StatusInfo) {
        let served = ServerStatus {
            uid: of.uid,
            program: of.program.get().cloned(),
            seconds: of.began.elapsed().as_secs_f64(),
            server_pid: of.server_pid,
            server_memory: None,
            bytes_read: calls.bytes_read(),
            bytes_written: calls.bytes_written(),
            nfs_calls: calls,
        };
        let Ok(text) = serde_json::to_vec(&served) else { return };
        for mut asks in self.waiting.drain(..) {
            // Who does not read gets as much as the kernel keeps for him.
            let _ = asks.set_nonblocking(true).and_then(|()| asks.write_all(&text));
        }
    }
}

impl Drop for StatusListener {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.at);
    }
}

/// Does something with a socket's path, which has to be short (unix(7)).
pub(super) fn at<T>(socket: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else { return act(socket) };
    if !cfg!(target_os = "linux") {
        return act(socket);
    }
    let directory = File::open(directory)?;
    act(&Path::new(OsStr::new(&format!("/proc/self/fd/{}", directory.as_raw_fd()))).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_ask_are_answered_together_and_the_socket_goes_with_the_session() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(100));
        std::fs::create_dir(&deep).unwrap();
        let socket = deep.join("1.status");
        let (server, told) = UnixStream::pair().unwrap();
        let mut listener = StatusListener::at(&socket).unwrap();
        let of =
            StatusInfo { uid: 7, server_pid: 1, began: Instant::now(), program: Arc::new(OnceLock::new()) };
        of.program.set("/bin/true".into()).unwrap();
        std::thread::scope(|scope| {
            let asking = [0; 2].map(|_| scope.spawn(|| super::super::ask(&socket).unwrap()));
            assert!(matches!(listener.wait(server.as_fd()), StatusEvent::Asked));
            (&told).write_all(b"x").unwrap();
            while listener.waiting.len() < asking.len() {
                listener.waiting.extend(listener.listener.accept().map(|(asks, _)| asks));
            }
            assert!(matches!(listener.wait(server.as_fd()), StatusEvent::Server));
            let mut numbers = vec![0; 27];
            (numbers[6], numbers[25], numbers[26]) = (3, 100, 50);
            listener.answer(CallCounts::from_numbers(&numbers), &of);
            for asking in asking {
                let served = asking.join().unwrap();
                assert_eq!((served.uid, served.bytes_read, served.bytes_written), (7, 100, 50));
                assert_eq!(served.program.as_deref(), Some(Path::new("/bin/true")));
                assert_eq!(served.nfs_calls.total(), 3);
            }
        });
        drop(listener);
        assert!(!socket.exists());
    }
}
