//! What the daemon does not do for somebody, though root could. Everything else that is asked for is checked by the kernel,
//! when the server and the program are the user who asks.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path};

use defences::Defence;
use mounter::jail::{JailSpec, Limit, User};
use nfs_server::view::{Entry, Owner};

use super::Peer;
use super::limits;
use super::request::OpenRequest;
use crate::local::Scratches;

/// The most of the memory that a session's shared memory may take: what the machine's own `/dev/shm` takes.
const SHM_PERCENT_MAX: u32 = 50;

/// The most faults that a session has injected: more than anybody writes, and few to compare each call with.
const FAULTS_MAX: usize = 64;

/// Devices that a session may have, as the machine itself has them.
const DEVICES: [&str; 7] = ["full", "kvm", "null", "random", "tty", "urandom", "zero"];

/// Checks who a view is for, and the devices in it.
///
/// # Errors
/// What is refused, as a sentence.
pub(super) fn view(request: &OpenRequest, peer: &Peer) -> Result<(), String> {
    user(&request.user, peer)?;
    let is_name = |name: &&String| {
        let mut parts = Path::new(name).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name.as_str())
    };
    if let Some(name) = request.leftovers.iter().find(|name| !is_name(name)) {
        return Err(format!("{name:?}, to be removed, is not a name in a directory"));
    }
    let local = Scratches::Local.local_in(&request.view, None);
    if let Some(place) = request.local.iter().find(|place| !local.contains(place)) {
        return Err(format!("{place:?} is no scratch of the view that could be the machine's own"));
    }
    let faults = request.conditions.faults.len();
    if faults > FAULTS_MAX {
        return Err(format!("{faults} faults are more than {FAULTS_MAX}"));
    }
    let known: Vec<Device> = DEVICES.iter().filter_map(|name| Device::of(name)).collect();
    for entry in &request.view.entries {
        if let Entry::Device { at, major, minor, mode, owner } = entry {
            let declared = Device { number: (*major, *minor), mode: *mode, owner: *owner };
            if Defence::Devices.stands() && !known.contains(&declared) {
                return Err(format!(
                    "{at:?} would be a device that is none of {}, or otherwise than in /dev",
                    DEVICES.join(", ")
                ));
            }
        }
    }
    Ok(())
}

/// Checks what a program has besides its view; its limits are set to those of whoever asks, or lower ones.
///
/// # Errors
/// What is refused, as a sentence.
pub(super) fn jail(jail: &mut JailSpec, user: &User, peer: &Peer) -> Result<(), String> {
    if jail.user != *user {
        return Err("the program would run as another user than the view is for".into());
    }
    if !jail.no_new_privs {
        return Err("the program could gain new privileges".into());
    }
    if jail.own_task {
        return Err("loopbox's own tasks are not for others".into());
    }
    if jail.network && !peer.shares_network() {
        return Err("the machine's network is not that of whoever asks for it".into());
    }
    if !is_modest(&jail.shm_size) {
        return Err(format!(
            "shared memory of {} is more than {SHM_PERCENT_MAX} % of the memory",
            jail.shm_size
        ));
    }
    jail.limits = limits_of(peer, &jail.limits)?;
    Ok(())
}

fn user(user: &User, peer: &Peer) -> Result<(), String> {
    let own = user.uid == peer.uid && peer.is_of_group(user.gid);
    if !Defence::AskingUser.stands() {
        return Ok(());
    }
    if !own || !user.groups.iter().all(|group| peer.is_of_group(*group)) {
        return Err(format!(
            "user {} with group {} is not {}, who asks, in a group of his own",
            user.uid,
            user.gid,
            peer.name()
        ));
    }
    Ok(())
}

fn limits_of(peer: &Peer, asked: &[Limit]) -> Result<Vec<Limit>, String> {
    let own = peer.limits().and_then(|table| limits::parse(&table));
    let own = own.ok_or("whoever asks has ended, or the kernel does not say what limits he has")?;
    limits::lowered(&own, asked)
        .map_err(|resource| format!("the limit {resource:?} would be higher than that of whoever asks"))
}

/// Whether a size of a file system in memory (tmpfs(5)) is a percentage that is allowed.
fn is_modest(size: &str) -> bool {
    size.strip_suffix('%')
        .and_then(|percent| percent.parse::<u32>().ok())
        .is_some_and(|percent| (1..=SHM_PERCENT_MAX).contains(&percent))
}

#[derive(PartialEq, Eq)]
struct Device {
    number: (u32, u32),
    mode: u32,
    owner: Owner,
}

impl Device {
    /// The one that the machine has under a name.
    fn of(name: &str) -> Option<Device> {
        let metadata = Path::new("/dev").join(name).symlink_metadata().ok()?;
        let number = metadata.rdev();
        metadata.file_type().is_char_device().then(|| Device {
            number: (libc::major(number), libc::minor(number)),
            mode: metadata.mode() & 0o777,
            owner: Owner { uid: metadata.uid(), gid: metadata.gid() },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use mounter::MountOptions;
    use nfs_server::view::{ViewSpec, ViewVariation};

    use super::*;
    use crate::access::Recording;
    use crate::conditions::Conditions;

    fn peer() -> Peer {
        let (one, _two) = UnixStream::pair().unwrap();
        Peer::of(&one).unwrap()
    }

    fn of(peer: &Peer) -> User {
        User::new(peer.uid, peer.gid)
    }

    fn request(user: User, entries: Vec<Entry>) -> OpenRequest {
        OpenRequest {
            view: ViewSpec { entries },
            user,
            options: MountOptions::default(),
            recording: Recording::Nothing,
            variation: ViewVariation::default(),
            local: Vec::new(),
            conditions: Conditions::default(),
            leftovers: Vec::new(),
        }
    }

    fn device(major: u32, minor: u32, mode: u32) -> Entry {
        Entry::Device { at: "/dev/it".into(), major, minor, mode, owner: Owner::default() }
    }

    #[test]
    fn nobody_asks_as_somebody_else() {
        let peer = peer();
        assert_eq!(view(&request(of(&peer), Vec::new()), &peer), Ok(()));
        let others = [
            User { uid: peer.uid + 1, ..of(&peer) },
            User { gid: 4711, ..of(&peer) },
            User { groups: vec![4711], ..of(&peer) },
        ];
        for other in others {
            let refused = view(&request(other.clone(), Vec::new()), &peer).unwrap_err();
            assert!(refused.contains("who asks"), "{refused}");
        }
    }

    #[test]
    fn what_is_left_behind_is_named_in_its_directory() {
        let peer = peer();
        for (name, good) in
            [("a.chroot", true), ("..", false), (".", false), ("", false), ("a/b", false), ("a/", false)]
        {
            let leftovers = vec![name.into()];
            let request = OpenRequest { leftovers, ..request(of(&peer), Vec::new()) };
            assert_eq!(view(&request, &peer).is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn a_session_has_only_so_many_faults() {
        let peer = peer();
        let check = |count| {
            let faults = vec!["error=EIO".parse().unwrap(); count];
            let conditions = Conditions { faults, ..Conditions::default() };
            view(&OpenRequest { conditions, ..request(of(&peer), Vec::new()) }, &peer)
        };
        assert_eq!(check(FAULTS_MAX), Ok(()));
        assert_eq!(check(FAULTS_MAX + 1), Err("65 faults are more than 64".into()));
    }

    #[test]
    fn devices_are_those_of_the_machine_and_as_it_has_them() {
        let peer = peer();
        let check = |entry| view(&request(of(&peer), vec![entry]), &peer);
        assert_eq!(check(device(1, 3, 0o666)), Ok(()));
        for refused in [device(8, 0, 0o666), device(1, 1, 0o666), device(1, 3, 0o777), device(10, 232, 0o7)] {
            let said = check(refused).unwrap_err();
            assert!(said.contains("would be a device"), "{said}");
        }
    }

    #[test]
    fn a_program_gets_no_more_than_whoever_asks_has() {
        let peer = peer();
        let plain = JailSpec::new(of(&peer), "/bin/true", vec!["true".into()]);
        let check = |change: &dyn Fn(&mut JailSpec)| {
            let mut spec = plain.clone();
            change(&mut spec);
            jail(&mut spec, &of(&peer), &peer).map(|()| spec)
        };
        let own = check(&|_| {}).unwrap();
        assert_eq!(own.limits.len(), 7);
        let refused: [&dyn Fn(&mut JailSpec); 6] = [
            &|spec| spec.user.uid += 1,
            &|spec| spec.no_new_privs = false,
            &|spec| spec.own_task = true,
            &|spec| spec.shm_size = "51%".into(),
            &|spec| spec.shm_size = "100g".into(),
            &|spec| spec.user.groups.push(0),
        ];
        for change in refused {
            assert!(check(change).is_err());
        }
    }
}
