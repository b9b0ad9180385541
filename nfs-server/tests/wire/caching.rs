//! What the view remembers of a scratch is what the host has, whatever was done before.

use std::os::unix::fs::MetadataExt;

use nfs3_types::nfs3::{Nfs3Option, fattr3, nfs_fh3, nfstime3};
use proptest::prelude::*;

use crate::calls::{mode, size};
use crate::client::Client;
use crate::world::{World, assert_is, guarded};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const DIRECTORIES: [&str; 3] = ["build", "build/c", "build/d"];

/// Something done to a name in a directory, each given by its index.
#[derive(Clone, Copy, Debug)]
enum Step {
    CreateMode,
    Write(u16),
    Truncate(u16),
    Mode(u32),
    Link(usize, usize),
    Rename(usize, usize),
    Remove,
    MakeDirectory,
    RemoveDirectory,
    Look,
    List,
}

fn step() -> impl Strategy<Value = (usize, usize, Step)> {
    let place = || (0..DIRECTORIES.len(), 0..NAMES.len());
    let what = prop_oneof![
        Just(Step::CreateMode),
        Just(Step::CreateMode),
        any::<u16>().prop_map(Step::Write),
        any::<u16>().prop_map(Step::Truncate),
        (0_u32..0o1000).prop_map(Step::Mode),
        place().prop_map(|(directory, name)| Step::Link(directory, name)),
        place().prop_map(|(directory, name)| Step::Rename(directory, name)),
        Just(Step::Remove),
        Just(Step::MakeDirectory),
        Just(Step::RemoveDirectory),
        Just(Step::Look),
        Just(Step::List),
    ];
    (0..DIRECTORIES.len(), 0..NAMES.len(), what)
}

fn find(world: &World, client: &mut Client, path: &str) -> Option<nfs_fh3> {
    let mut handle = world.mount();
    for name in path.split('/') {
        handle = client.lookup(&handle, name.as_bytes()).ok()?.object;
    }
    Some(handle)
}

/// Does it, whatever comes of it.
fn take(world: &World, client: &mut Client, (directory, name, step): (usize, usize, Step)) {
    let name = NAMES[name];
    let Some(directory) = find(world, client, DIRECTORIES[directory]) else { return };
    let other = |directory: usize| find(world, &mut world.root(), DIRECTORIES[directory]);
    match step {
        Step::CreateMode => drop(client.create(&directory, name.as_bytes(), guarded(0o644))),
        Step::MakeDirectory => drop(client.mkdir(&directory, name.as_bytes(), mode(0o755))),
        Step::Remove => drop(client.remove(&directory, name.as_bytes())),
        Step::RemoveDirectory => drop(client.rmdir(&directory, name.as_bytes())),
        Step::List => drop(client.readdirplus(&directory, 0, 4096)),
        Step::Rename(to, new) => {
            let Some(to) = other(to) else { return };
            let _ = client.rename((&directory, name.as_bytes()), (&to, NAMES[new].as_bytes()));
        }
        Step::Link(to, new) => {
            let (Some(to), Ok(file)) = (other(to), client.lookup(&directory, name.as_bytes())) else {
                return;
            };
            let _ = client.link(&file.object, &to, NAMES[new].as_bytes());
        }
        Step::Look | Step::Write(_) | Step::Truncate(_) | Step::Mode(_) => {
            let Ok(file) = client.lookup(&directory, name.as_bytes()) else { return };
            match step {
                Step::Write(offset) => drop(client.write(&file.object, offset.into(), b"data")),
                Step::Truncate(length) => drop(client.setattr(&file.object, size(length.into()))),
                Step::Mode(bits) => drop(client.setattr(&file.object, mode(bits))),
                _ => drop(client.getattr(&file.object)),
            }
        }
    }
}

/// Every name that the host has is found with the host's attributes, and no other.
fn assert_remembered(world: &World, client: &mut Client) {
    for directory in DIRECTORIES {
        for name in NAMES {
            let path = format!("{directory}/{name}");
            let host = world.host(&path).symlink_metadata().ok();
            let found = find(world, client, &path);
            assert_eq!(found.is_some(), host.is_some(), "{path}");
            if let (Some(found), Some(host)) = (found, host) {
                let told = client.getattr(&found).unwrap();
                // When the host last read it is not followed.
                let atime = nfstime3 { seconds: host.atime() as u32, nseconds: host.atime_nsec() as u32 };
                assert_is(&fattr3 { atime, ..told }, &host);
            }
        }
    }
    let listed = client.readdirplus(&world.at("build"), 0, 1 << 16).unwrap().reply.entries.0;
    for entry in listed.iter().filter(|entry| !entry.name.0.starts_with(b".")) {
        let path = format!("build/{}", String::from_utf8_lossy(&entry.name.0));
        let Nfs3Option::Some(attributes) = &entry.name_attributes else { panic!("{path} has no attributes") };
        let attributes: &fattr3 = attributes;
        let host = world.metadata(&path);
        assert_eq!((attributes.fileid, attributes.size), (host.ino(), host.size()), "{path}");
        assert_eq!(attributes.ctime.nseconds, host.ctime_nsec() as u32, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_hosts_state_is_what_is_told(steps in prop::collection::vec(step(), 1..60)) {
        let world = World::new();
        let mut client = world.root();
        for step in steps {
            take(&world, &mut client, step);
            // Looking makes it remember more, so it is not done after every step.
            if matches!(step, (_, _, Step::List)) {
                assert_remembered(&world, &mut client);
            }
        }
        assert_remembered(&world, &mut client);
    }
}
