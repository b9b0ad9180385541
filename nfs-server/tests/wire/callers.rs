//! Grafts whose files others of the host can change too: the host's own rules decide there, for each caller, and nobody can
//! put another file in the place of the one that is meant. They need a server that is root.
#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nfs3_types::nfs3::{Nfs3Option, createhow3, nfs_fh3, nfsstat3, sattr3};
use rustix::fs::{CWD, RenameFlags, XattrFlags, renameat_with, setxattr};

use crate::calls::{mode, owner, size};
use crate::client::{Client, refused};
use crate::world::{BUILDER, World, made, unchecked};

/// Another user of the host.
const OTHER: u32 = 1001;

/// A graft in which everybody may make files, and which belongs to somebody else; on the host, and its handle.
fn anybodys(world: &World) -> (std::path::PathBuf, nfs_fh3) {
    let directory = world.host("writable");
    chown(&directory, Some(OTHER), Some(OTHER)).expect("these tests need root");
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    let handle = world.at("writable");
    world.root().getattr(&handle).unwrap();
    (directory, handle)
}

/// An access control list that says this of the builder, and what a mode says of others (acl(5), and `linux/posix_acl_xattr.h`).
fn give_list(path: &Path, name: &str, builder: u16, others: u16) {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (0x01, 7, NOBODY),
        (0x02, builder, BUILDER),
        (0x04, others, NOBODY),
        (0x10, 7, NOBODY),
        (0x20, others, NOBODY),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend([u16::to_le_bytes(tag), u16::to_le_bytes(permissions)].concat());
        list.extend(u32::to_le_bytes(id));
    }
    setxattr(path, name, &list, XattrFlags::empty())
        .expect("the file system of TMPDIR has access control lists");
}

const FILE_LIST: &str = "system.posix_acl_access";
const NEW_FILES_LIST: &str = "system.posix_acl_default";

#[test]
fn what_is_made_belongs_to_its_maker_and_has_the_mode_asked_for() {
    let world = World::new();
    let (directory, writable) = anybodys(&world);
    let mut client = world.root();
    client.become_user(BUILDER, 77, &[78]);
    let how = createhow3::GUARDED(sattr3 { mode: Nfs3Option::Some(0o666), ..size(7) });
    client.create(&writable, b"file", how).unwrap();
    client.mkdir(&writable, b"dir", mode(0o777)).unwrap();
    client.symlink(&writable, b"link", b"nowhere").unwrap();
    client.mknod(&writable, b"pipe", nfs3_types::nfs3::mknoddata3::NF3FIFO(mode(0o622))).unwrap();
    for (name, bits) in [("file", 0o666), ("dir", 0o777), ("link", 0o777), ("pipe", 0o622)] {
        let made = fs::symlink_metadata(directory.join(name)).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (BUILDER, 77, bits), "{name}");
    }
    assert_eq!(fs::metadata(directory.join("file")).unwrap().size(), 7);
}

#[test]
fn a_file_that_takes_the_place_of_a_new_one_stays_as_it_is() {
    const ROUNDS: usize = 3000;
    for caller in [BUILDER, 0] {
        let world = World::new();
        let (directory, writable) = anybodys(&world);
        let roots = directory.join("roots");
        fs::write(&roots, "secret\n").unwrap();
        fs::set_permissions(&roots, Permissions::from_mode(0o600)).unwrap();
        let file = fs::File::open(&roots).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let (one, other) = (directory.join("roots"), directory.join("x"));
                    let _ = renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
                }
            });
            let mut client = world.root();
            client.become_user(caller, caller, &[]);
            for round in 0..ROUNDS {
                let all = || sattr3 { mode: Nfs3Option::Some(0o666), ..owner(None, Some(caller)) };
                let made = match round % 3 {
                    0 => client.create(&writable, b"x", unchecked(all())).is_ok(),
                    1 => client.mkdir(&writable, b"x", all()).is_ok(),
                    _ => client.symlink(&writable, b"x", b"roots").is_ok(),
                };
                let found = made.then(|| client.lookup(&writable, b"x").ok()).flatten();
                if let Some(found) = found
                    && caller != 0
                {
                    // Only what is one's own can be changed.
                    let _ = client.setattr(&found.object, all());
                    let _ = client.link(&found.object, &writable, b"y");
                    let _ = client.remove(&writable, b"y");
                }
                for name in ["x", "roots"] {
                    let path = directory.join(name);
                    if fs::symlink_metadata(&path)
                        .is_ok_and(|found| found.ino() != file.metadata().unwrap().ino())
                    {
                        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
                    }
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let left = file.metadata().unwrap();
        assert_eq!((left.uid(), left.mode() & 0o7777, left.size()), (0, 0o600, 7), "made by {caller}");
    }
}

#[test]
fn an_access_control_list_says_who_may_do_what() {
    let world = World::new();
    let (directory, writable) = anybodys(&world);
    let package = world.host("package");
    // Whether the builder may, and whether others may, of files that their mode hides from the builder or does not.
    for (name, builder, others) in [("hidden", 0, 4), ("shown", 7, 0), ("both", 7, 4)] {
        for place in [&package, &directory] {
            let path = place.join(name);
            fs::write(&path, "data").unwrap();
            chown(&path, Some(OTHER), Some(OTHER)).unwrap();
            give_list(&path, FILE_LIST, builder, others);
            let handle =
                world.at(&format!("{}/{name}", if *place == package { "package" } else { "writable" }));
            let may = |client: &mut Client| {
                let read = client.read(&handle, 0, 9).map(|read| read.data.to_vec() == b"data");
                let access = client.access(&handle, 0x01).unwrap().access == 0x01;
                (read.is_ok(), access)
            };
            let mut stranger = world.root();
            stranger.become_user(5555, 5555, &[]);
            assert_eq!(may(&mut stranger), (others != 0, others != 0), "{name}");
            assert_eq!(may(&mut world.builder()), (builder != 0, builder != 0), "{name}");
            assert_eq!(may(&mut world.root()), (true, true), "{name}");
        }
        let written = world.builder().write(&world.at(&format!("writable/{name}")), 0, b"data");
        assert_eq!(written.is_ok(), builder != 0, "{name}");
    }
    // Of a directory.
    for (name, builder, others) in [("closed", 0, 5), ("open", 7, 0)] {
        fs::create_dir(directory.join(name)).unwrap();
        chown(directory.join(name), Some(OTHER), Some(OTHER)).unwrap();
        fs::write(directory.join(name).join("inner"), "").unwrap();
        give_list(&directory.join(name), FILE_LIST, builder, others);
        let (handle, mut client) = (world.at(&format!("writable/{name}")), world.builder());
        let results = [
            client.lookup(&handle, b"inner").is_ok(),
            client.readdir(&handle, 0, 4096).is_ok(),
            client.create(&handle, b"new", unchecked(size(0))).is_ok(),
            client.rename((&handle, b"inner"), (&handle, b"moved")).is_ok(),
            client.remove(&handle, b"moved").is_ok(),
        ];
        assert_eq!(results, [builder != 0; 5], "{name}");
    }
    world.builder().rename((&writable, b"both"), (&writable, b"shown")).unwrap();
}

#[test]
fn a_changed_list_counts_at_once() {
    let world = World::new();
    let (directory, _) = anybodys(&world);
    let path = directory.join("file");
    fs::write(&path, "data").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let file = world.at("writable/file");
    let mut client = world.builder();
    assert_eq!(refused(client.read(&file, 0, 9)), nfsstat3::NFS3ERR_ACCES);
    give_list(&path, FILE_LIST, 4, 0);
    client.getattr(&file).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    give_list(&path, FILE_LIST, 0, 4);
    client.getattr(&file).unwrap();
    assert_eq!(refused(client.read(&file, 0, 9)), nfsstat3::NFS3ERR_ACCES);
}

#[test]
fn a_new_file_takes_over_its_directorys_list() {
    let world = World::new();
    let (directory, writable) = anybodys(&world);
    give_list(&directory, NEW_FILES_LIST, 4, 0);
    let mut client = world.root();
    client.become_user(OTHER, OTHER, &[]);
    client.create(&writable, b"file", unchecked(mode(0o666))).unwrap();
    let made = fs::metadata(directory.join("file")).unwrap();
    assert_eq!(made.mode() & 0o777, 0o660, "others get no more than the list gives them");
    let file = world.at("writable/file");
    assert!(world.builder().read(&file, 0, 1).is_ok());
    assert_eq!(refused(world.builder().write(&file, 0, b"x")), nfsstat3::NFS3ERR_ACCES);
}

#[test]
fn writing_to_another_users_program_takes_its_rights() {
    let world = World::new();
    let (directory, _) = anybodys(&world);
    let path = directory.join("program");
    for change in ["write", "truncate"] {
        fs::write(&path, "as it was").unwrap();
        chown(&path, Some(0), Some(77)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o6775)).unwrap();
        let file = world.at("writable/program");
        let mut client = world.root();
        client.become_user(BUILDER, 77, &[]);
        match change {
            "write" => drop(client.write(&file, 0, b"mine").unwrap()),
            _ => drop(client.setattr(&file, size(0)).unwrap()),
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o775, "{change}");
    }
}

#[test]
fn a_descriptor_outlives_a_change_of_mode_and_what_runs_need_not_be_readable() {
    let world = World::new();
    let (_, writable) = anybodys(&world);
    let mut client = world.builder();
    let file = made(client.create(&writable, b"file", unchecked(mode(0o400))).unwrap());
    client.write(&file, 0, b"data").unwrap();
    client.setattr(&file, mode(0)).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    client.setattr(&file, size(2)).unwrap();
    client.commit(&file).unwrap();
    let other = world.host("writable/runs");
    fs::write(&other, "code").unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o711)).unwrap();
    assert_eq!(client.read(&world.at("writable/runs"), 0, 9).unwrap().data.to_vec(), b"code");
    assert_eq!(client.read(&world.at("package/only-run"), 0, 99).unwrap().data.to_vec(), b"secret code\n");
    assert_eq!(refused(client.read(&world.at("package/private"), 0, 9)), nfsstat3::NFS3ERR_ACCES);
}

#[test]
fn names_in_a_sticky_directory_belong_to_owners() {
    let world = World::new();
    let (directory, writable) = anybodys(&world);
    fs::set_permissions(&directory, Permissions::from_mode(0o1777)).unwrap();
    fs::write(directory.join("roots"), "").unwrap();
    world.root().getattr(&writable).unwrap();
    let mut client = world.builder();
    client.create(&writable, b"own", unchecked(mode(0o600))).unwrap();
    assert_eq!(refused(client.remove(&writable, b"roots")), nfsstat3::NFS3ERR_PERM);
    assert_eq!(refused(client.rename((&writable, b"own"), (&writable, b"roots"))), nfsstat3::NFS3ERR_PERM);
    client.rename((&writable, b"own"), (&writable, b"renamed")).unwrap();
    client.remove(&writable, b"renamed").unwrap();
}

#[test]
fn attributes_of_what_is_not_open_are_its_owners_to_set() {
    let world = World::new();
    let (directory, writable) = anybodys(&world);
    let mut client = world.root();
    client.become_user(BUILDER, BUILDER, &[77]);
    client.mkdir(&writable, b"dir", mode(0o700)).unwrap();
    client.symlink(&writable, b"link", b"roots").unwrap();
    fs::write(directory.join("roots"), "").unwrap();
    for name in ["dir", "link"] {
        let node = world.at(&format!("writable/{name}"));
        client.setattr(&node, owner(None, Some(77))).unwrap();
        assert_eq!(refused(client.setattr(&node, owner(Some(OTHER), None))), nfsstat3::NFS3ERR_PERM);
        let time = nfs3_types::nfs3::nfstime3 { seconds: 7, nseconds: 8 };
        let times =
            sattr3 { mtime: nfs3_types::nfs3::set_mtime::SET_TO_CLIENT_TIME(time), ..sattr3::default() };
        client.setattr(&node, times).unwrap();
        let now = fs::symlink_metadata(directory.join(name)).unwrap();
        assert_eq!((now.uid(), now.gid(), now.mtime(), now.mtime_nsec()), (BUILDER, 77, 7, 8), "{name}");
    }
    client.setattr(&world.at("writable/dir"), mode(0o750)).unwrap();
    assert_eq!(fs::metadata(directory.join("dir")).unwrap().mode() & 0o7777, 0o750);
    let roots = world.at("writable/roots");
    assert_ne!(fs::metadata(directory.join("roots")).unwrap().mtime(), 7, "a link is not followed");
    assert_eq!(refused(client.setattr(&roots, mode(0o777))), nfsstat3::NFS3ERR_PERM);
    assert_eq!(refused(client.setattr(&roots, owner(Some(BUILDER), None))), nfsstat3::NFS3ERR_PERM);
}

#[test]
fn what_is_made_in_a_directory_that_hands_its_group_on_is_the_groups() {
    let world = World::new();
    let (directory, writable) = anybodys(&world);
    chown(&directory, None, Some(78)).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o2777)).unwrap();
    world.root().getattr(&writable).unwrap();
    let mut client = world.builder();
    client.create(&writable, b"file", unchecked(mode(0o640))).unwrap();
    client.mkdir(&writable, b"dir", mode(0o750)).unwrap();
    client.symlink(&writable, b"link", b"nowhere").unwrap();
    for name in ["file", "dir", "link"] {
        let made = fs::symlink_metadata(directory.join(name)).unwrap();
        assert_eq!((made.uid(), made.gid()), (BUILDER, 78), "{name}");
    }
}
