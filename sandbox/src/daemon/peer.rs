//! Who is at the other end of a socket, as the kernel says.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use mounter::peer_groups;
use mounter::process::Process;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Group, Uid, User};

/// A process that has connected, with the credentials that it had then (unix(7)).
#[derive(Clone, Debug)]
pub struct Peer {
    process: Option<Process>,
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
        Ok(Peer { process, uid: credentials.uid(), gid: credentials.gid(), groups: peer_groups(socket)? })
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
        let lives = || self.process.is_some_and(Process::is_alive);
        while lives() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        !lives()
    }

    /// Its resource limits, if it is still there to be asked.
    pub(super) fn limits(&self) -> Option<String> {
        self.look(|pid| std::fs::read_to_string(format!("/proc/{pid}/limits")))
    }

    /// Whether it has the network that this process has.
    pub(super) fn shares_network(&self) -> bool {
        let namespace = |process: &str| std::fs::metadata(format!("/proc/{process}/ns/net"));
        let own = namespace("self").ok();
        let its = self.look(|pid| namespace(&pid.to_string()));
        matches!((own, its), (Some(own), Some(its)) if (own.dev(), own.ino()) == (its.dev(), its.ino()))
    }

    /// Looks at it in /proc: before and after it has to be the same process.
    fn look<T>(&self, look: impl FnOnce(u32) -> io::Result<T>) -> Option<T> {
        let process = self.process.filter(|process| process.is_alive())?;
        let seen = look(process.pid()).ok()?;
        process.is_alive().then_some(seen)
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
}
