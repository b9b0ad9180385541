//! Links that the host puts where the view had something else: old handles never lead behind them.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nfs3_types::nfs3::{nfs_fh3, nfsstat3};

use crate::calls::{mode, size};
use crate::client::{Client, refused};
use crate::world::{World, guarded, unchecked};

const SECRET: &[u8] = b"secret of the host";

/// A directory of the host outside the view, with a file named as one in the view.
fn outside(world: &World) {
    fs::create_dir(world.host("outside")).unwrap();
    fs::write(world.host("outside/down"), SECRET).unwrap();
}

fn assert_outside_is_untouched(world: &World) {
    assert_eq!(fs::read(world.host("outside/down")).unwrap(), SECRET);
    assert_eq!(fs::read_dir(world.host("outside")).unwrap().count(), 1);
}

/// Replaces a directory of the host by a link to `outside`.
fn swap(world: &World, path: &str) {
    fs::rename(world.host(path), world.host("aside")).unwrap();
    symlink(world.host("outside"), world.host(path)).unwrap();
}

/// Every call on the handles of a directory and of the file `down` in it that could reach through a link.
fn reach(client: &mut Client, directory: &nfs_fh3, file: &nfs_fh3) {
    for handle in [directory, file] {
        if let Ok(read) = client.read(handle, 0, 100) {
            assert_ne!(read.data.to_vec(), SECRET);
        }
        let _ = client.getattr(handle).map(|attributes| assert_ne!(attributes.size, SECRET.len() as u64));
        let _ = client.setattr(handle, mode(0o777));
    }
    if let Ok(found) = client.lookup(directory, b"down")
        && let Ok(read) = client.read(&found.object, 0, 100)
    {
        assert_ne!(read.data.to_vec(), SECRET);
    }
    let _ = client.write(file, 0, b"overwritten");
    let _ = client.setattr(file, size(0));
    let _ = client.create(directory, b"new", guarded(0o666));
    let _ = client.create(directory, b"down", unchecked(size(0)));
    let _ = client.mkdir(directory, b"newer", mode(0o777));
    let _ = client.link(file, directory, b"newest");
    let _ = client.rename((directory, b"down"), (directory, b"up"));
    let _ = client.remove(directory, b"up");
    let _ = client.remove(directory, b"down");
}

#[test]
fn a_directory_of_a_graft_that_became_a_link_is_not_followed() {
    let world = World::new();
    outside(&world);
    let (directory, file) = (world.at("package/deep"), world.at("package/deep/down"));
    swap(&world, "package/deep");
    let mut client = world.root();
    reach(&mut client, &directory, &file);
    assert_outside_is_untouched(&world);
    let link = world.at("package/deep");
    assert_eq!(refused(client.lookup(&link, b"down")), nfsstat3::NFS3ERR_NOTDIR);
}

#[test]
fn a_directory_of_a_writable_graft_that_became_a_link_is_gone() {
    let world = World::new();
    outside(&world);
    world.root().mkdir(&world.at("writable"), b"dir", mode(0o777)).unwrap();
    let (directory, file) = (world.at("writable/dir"), world.builders_file("writable/dir/down", b"", 0o666));
    swap(&world, "writable/dir");
    let mut client = world.root();
    assert_eq!(refused(client.getattr(&directory)), nfsstat3::NFS3ERR_STALE);
    reach(&mut client, &directory, &file);
    assert_outside_is_untouched(&world);
}

#[test]
fn a_directory_of_a_scratch_that_became_a_link_leads_nowhere() {
    let world = World::new();
    outside(&world);
    let mut client = world.root();
    client.mkdir(&world.at("build"), b"dir", mode(0o777)).unwrap();
    let (directory, file) = (world.at("build/dir"), world.builders_file("build/dir/down", b"", 0o666));
    swap(&world, "build/dir");
    reach(&mut client, &directory, &file);
    assert_outside_is_untouched(&world);
}

#[test]
fn the_source_of_a_graft_that_became_a_link_is_not_followed() {
    let world = World::new();
    outside(&world);
    let (directory, file) = (world.at("package"), world.at("package/deep/down"));
    swap(&world, "package");
    let mut client = world.root();
    reach(&mut client, &directory, &file);
    assert_outside_is_untouched(&world);
}

#[test]
fn a_file_that_became_a_link_is_gone() {
    let world = World::new();
    outside(&world);
    let file = world.at("writable/note");
    fs::remove_file(world.host("writable/note")).unwrap();
    symlink(world.host("outside/down"), world.host("writable/note")).unwrap();
    let mut client = world.root();
    assert_eq!(refused(client.read(&file, 0, 100)), nfsstat3::NFS3ERR_STALE);
    assert_eq!(refused(client.write(&file, 0, b"x")), nfsstat3::NFS3ERR_STALE);
    assert_eq!(refused(client.setattr(&file, mode(0o777))), nfsstat3::NFS3ERR_STALE);
    assert_outside_is_untouched(&world);
}

/// Ends the race, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_race_between_a_directory_and_a_link_is_never_lost() {
    let world = World::new();
    outside(&world);
    world.root().mkdir(&world.at("writable"), b"dir", mode(0o777)).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (real, link) = (world.host("real"), world.host("link"));
            symlink(world.host("outside"), &link).unwrap();
            while !stop.load(Ordering::Relaxed) {
                // Each of the two names changes in one step, so that there is always something.
                fs::rename(world.host("writable/dir"), &real).unwrap();
                fs::rename(&link, world.host("writable/dir")).unwrap();
                fs::rename(world.host("writable/dir"), &link).unwrap();
                fs::rename(&real, world.host("writable/dir")).unwrap();
            }
        });
        let _stop = Stop(&stop);
        let mut client = world.root();
        let writable = world.at("writable");
        let mut reached = 0;
        let deadline = Instant::now() + Duration::from_secs(60);
        // On a busy machine the swap may win for long: go on until the directory was there once at least.
        for round in 0.. {
            if (round >= 2000 && reached > 0) || Instant::now() > deadline {
                break;
            }
            let Ok(found) = client.lookup(&writable, b"dir") else { continue };
            let _ = client.create(&found.object, b"down", unchecked(mode(0o666)));
            if let Ok(file) = client.lookup(&found.object, b"down") {
                reach(&mut client, &found.object, &file.object);
                reached += 1;
            }
            if round % 50 == 0 {
                let _ = client.readdirplus(&found.object, 0, 4096);
            }
        }
        assert_ne!(reached, 0, "the race was run");
    });
    assert_outside_is_untouched(&world);
}
