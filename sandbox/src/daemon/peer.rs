//! Who is at the other end of a socket, as the kernel says.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mounter::peer;
use mounter::process::{self, Process};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Group, Uid, User};

/// A process that has connected, with the credentials that it had then (unix(7)).
#[derive(Debug)]
pub struct Peer {
    /// By its number and start, and, since Linux 6.5, by a descriptor, which is of no other.
    process: Option<Process>,
    descriptor: Option<OwnedFd>,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its further groups.
    pub groups: Vec<u32>,
}

impl Peer {
    /// Who has connected.
    ///
    /// # Errors
    /// Those of getsockopt(2).
    pub fn of(socket: &UnixStream) -> io::Result<Peer> {
        let credentials = getsockopt(socket, sockopt::PeerCredentials)?;
        let process = u32::try_from(credentials.pid()).ok().and_then(Process::of);
        let descriptor = peer::process(socket).ok();
        let (uid, gid, groups) = (credentials.uid(), credentials.gid(), peer::groups(socket)?);
        Ok(Peer { process, descriptor, uid, gid, groups })
    }

    /// Whether it is of a group.
    #[must_use]
    pub fn is_of_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// The user's name, or the number of one who has none: an automatically allocated build user.
    #[must_use]
    pub fn name(&self) -> String {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        user.map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// Whether it has ended, or does within a time.
    pub(super) fn has_ended_after(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while self.is_alive() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        !self.is_alive()
    }

    fn is_alive(&self) -> bool {
        match &self.descriptor {
            // It is readable once the process has ended (pidfd_open(2)).
            Some(descriptor) => {
                poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(0)
            }
            None => self.process.is_some_and(Process::is_alive),
        }
    }

    /// Its resource limits, if it is still there to be asked.
    pub(super) fn limits(&self) -> Option<String> {
        self.look(|pid| process::proc_table(pid, "limits"))
    }

    /// Whether it has the network that this process has.
    pub(super) fn shares_network(&self) -> bool {
        let namespace = |process: &str| std::fs::metadata(format!("/proc/{process}/ns/net"));
        let own = namespace("self").ok();
        let its = self.look(|pid| namespace(&pid.to_string()));
        matches!((own, its), (Some(own), Some(its)) if (own.dev(), own.ino()) == (its.dev(), its.ino()))
    }

    /// Looks at it in /proc: it has to be there afterwards, so that its number was its own.
    fn look<T>(&self, look: impl FnOnce(u32) -> io::Result<T>) -> Option<T> {
        let seen = look(self.process?.pid()).ok()?;
        self.is_alive().then_some(seen)
    }
}

/// The number of a group.
pub(super) fn gid_of(name: &str) -> Option<u32> {
    let named = Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    named.or_else(|| name.parse().ok())
}

/// The number of a user.
pub(super) fn uid_of(name: &str) -> Option<u32> {
    let named = User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    named.or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_is_who_has_connected() {
        let (one, _two) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert!(peer.is_of_group(nix::unistd::getegid().as_raw()));
        assert!(peer.shares_network());
        assert!(peer.limits().unwrap().contains("Max open files"));
    }

    /// Names the socket that [`the_other_process`] connects to.
    const SOCKET: &str = "LOOPBOX_TEST_SOCKET";

    /// Not a test by itself: what the next one starts.
    #[test]
    fn the_other_process() {
        if let Some(socket) = std::env::var_os(SOCKET) {
            let _connection = UnixStream::connect(socket).unwrap();
            io::stdin().lines().for_each(drop);
        }
    }

    #[test]
    fn who_has_ended_is_not_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "daemon::peer::tests::the_other_process"])
            .env(SOCKET, &path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let (connection, _) = listener.accept().unwrap();
        let peer = Peer::of(&connection).unwrap();
        assert!(peer.limits().is_some() && peer.shares_network() && !peer.has_ended_after(Duration::ZERO));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(peer.has_ended_after(Duration::from_secs(5)));
        assert!(peer.limits().is_none() && !peer.shares_network());
    }
}
