//! Faults on purpose: which calls have them, and what their replies are.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nfs3_types::nfs3::{mknoddata3, nfsstat3 as Status};

use crate::calls::{mode, size};
use crate::client::{Given, refused};
use crate::world::{World, guarded};

/// Statuses of as many calls; `NFS3_OK` for what was done.
fn statuses<T, E>(count: usize, mut call: impl FnMut() -> Given<T, E>) -> Vec<Status> {
    (0..count).map(|_| call().map_or_else(|(status, _)| status, |_| Status::NFS3_OK)).collect()
}

/// In how many of so many GETATTRs of `/build` a fault is, as letters.
fn pattern(fault: &str, count: usize) -> String {
    let world = World::faulty(&[fault]);
    let (mut client, build) = (world.root(), world.at("build"));
    let statuses = statuses(count, || client.getattr(&build));
    statuses.iter().map(|status| if *status == Status::NFS3_OK { '.' } else { 'x' }).collect()
}

/// Calls that had each fault, and where it was first.
fn injected(world: &World) -> Vec<(u64, Option<PathBuf>)> {
    world.server.injected().into_iter().map(|fault| (fault.count, fault.first)).collect()
}

#[test]
fn a_procedure_that_takes_a_name_fails_by_the_path_of_that_name() {
    let world = World::faulty(&["op=any,path=/build/**,error=ESTALE"]);
    let (mut client, build, note) = (world.root(), world.at("build"), world.at("writable/note"));
    fs::write(world.host("build/file"), "x").unwrap();
    let (writable, stale) = (world.at("writable"), Status::NFS3ERR_STALE);
    assert_eq!(refused(client.lookup(&build, b"file")), stale);
    assert_eq!(refused(client.create(&build, b"new", guarded(0o644))), stale);
    assert_eq!(refused(client.mkdir(&build, b"new", mode(0o755))), stale);
    assert_eq!(refused(client.symlink(&build, b"new", b"target")), stale);
    assert_eq!(refused(client.mknod(&build, b"new", mknoddata3::NF3FIFO(mode(0o644)))), stale);
    assert_eq!(refused(client.remove(&build, b"file")), stale);
    assert_eq!(refused(client.rmdir(&build, b"file")), stale);
    assert_eq!(refused(client.rename((&build, b"file"), (&writable, b"file"))), stale);
    assert_eq!(refused(client.rename((&writable, b"note"), (&build, b"new"))), stale);
    assert_eq!(refused(client.link(&note, &build, b"new")), stale);
    assert_eq!(fs::read_dir(world.host("build")).unwrap().count(), 1, "nothing was done");
    client.getattr(&build).unwrap();
    assert_eq!(injected(&world), [(10, Some("/build/file".into()))]);
}

#[test]
fn a_procedure_that_takes_a_handle_fails_by_the_path_of_its_file() {
    // The first call looks it up.
    let world = World::faulty(&["op=any,path=/build,error=EIO,after=1"]);
    let (mut client, build, failed) = (world.root(), world.at("build"), Status::NFS3ERR_IO);
    assert_eq!(refused(client.getattr(&build)), failed);
    assert_eq!(refused(client.setattr(&build, mode(0o700))), failed);
    assert_eq!(refused(client.access(&build, 1)), failed);
    assert_eq!(refused(client.readlink(&build)), failed);
    assert_eq!(refused(client.read(&build, 0, 1)), failed);
    assert_eq!(refused(client.write(&build, 0, b"x")), failed);
    assert_eq!(refused(client.readdir(&build, 0, 4096)), failed);
    assert_eq!(refused(client.readdirplus(&build, 0, 4096)), failed);
    assert_eq!(refused(client.fsstat(&build)), failed);
    assert_eq!(refused(client.fsinfo(&build)), failed);
    assert_eq!(refused(client.pathconf(&build)), failed);
    assert_eq!(refused(client.commit(&build)), failed);
    client.null();
    assert_eq!(injected(&world), [(12, Some("/build".into()))]);
}

#[test]
fn without_a_path_all_but_the_root_fails() {
    let world = World::faulty(&["error=EACCES"]);
    let (mut client, root) = (world.root(), world.mount());
    client.getattr(&root).unwrap();
    client.fsinfo(&root).unwrap();
    assert_eq!(refused(client.lookup(&root, b"build")), Status::NFS3ERR_ACCES);
    assert_eq!(refused(client.getattr(&crate::client::handle(&[1; 32]))), Status::NFS3ERR_BADHANDLE);
}

#[test]
fn every_error_reaches_the_client_as_its_status() {
    for (name, number) in nfs_server::faults::ERRORS {
        let world = World::faulty(&[&format!("op=getattr,path=/build,error={name}")]);
        let status = refused(world.root().getattr(&world.at("build")));
        assert_eq!(status as u32, number, "{name}");
    }
}

#[test]
fn calls_are_chosen_by_their_number() {
    assert_eq!(pattern("op=getattr,path=/build,error=EIO", 4), "xxxx");
    assert_eq!(pattern("op=getattr,path=/build,error=EIO,after=3", 6), "...xxx");
    assert_eq!(pattern("op=getattr,path=/build,error=EIO,every=3", 9), "..x..x..x");
    assert_eq!(pattern("op=getattr,path=/build,error=EIO,count=2", 5), "xx...");
    assert_eq!(pattern("op=getattr,path=/build,error=EIO,after=2,every=2,count=2", 9), "...x.x...");
    assert_eq!(pattern("op=lookup,path=/elsewhere,error=EIO", 3), "...");
}

#[test]
fn chance_is_the_same_with_the_same_seed() {
    let fault = |seed| format!("op=getattr,path=/build,error=EIO,probability=0.5,seed={seed}");
    let one = pattern(&fault(1), 400);
    assert_eq!(pattern(&fault(1), 400), one);
    assert_ne!(pattern(&fault(2), 400), one);
    let failed = one.matches('x').count();
    assert!((140..260).contains(&failed), "{failed} of 400");
    assert_eq!(pattern("op=getattr,path=/build,error=EIO,probability=0", 9), ".........");
    assert_eq!(pattern("op=getattr,path=/build,error=EIO,probability=1", 9), "xxxxxxxxx");
}

#[test]
fn a_write_fails_that_would_go_beyond_so_many_bytes() {
    let world = World::faulty(&["op=write,path=/build/*,error=ENOSPC,after=10K"]);
    let file = world.builders_file("build/file", b"", 0o644);
    let mut client = world.builder();
    let written = statuses(4, || client.write(&file, 0, &[7; 4096]));
    let full = Status::NFS3ERR_NOSPC;
    assert_eq!(written, [Status::NFS3_OK, Status::NFS3_OK, full, full]);
    assert_eq!(world.metadata("build/file").len(), 4096);
}

#[test]
fn a_large_write_fails_as_a_small_one_does() {
    let world = World::faulty(&["op=write,path=/build/*,error=EDQUOT,every=2"]);
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, data) = (world.builder(), vec![7; 1 << 20]);
    // Making the file was the first.
    let written = statuses(3, || client.write(&file, 0, &data));
    let over = Status::NFS3ERR_DQUOT;
    assert_eq!(written, [over, Status::NFS3_OK, over]);
    assert_eq!(fs::read(world.host("build/file")).unwrap(), data);
    assert_eq!(injected(&world), [(2, Some("/build/file".into()))]);
}

#[test]
fn reads_and_writes_are_shortened() {
    let world = World::faulty(&["op=read,path=/build/*,short=10B", "op=write,path=/build/*,short=1K"]);
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, data) = (world.builder(), vec![7; 1 << 20]);
    assert_eq!(client.write(&file, 0, &data).unwrap().count, 1024);
    assert_eq!(client.write(&file, 1024, b"end").unwrap().count, 3);
    assert_eq!(world.metadata("build/file").len(), 1027);
    let read = client.read(&file, 1020, 100).unwrap();
    assert_eq!((read.count, read.eof), (7, true), "there is no more");
    let read = client.read(&file, 0, 100).unwrap();
    assert_eq!((&*read.data, read.eof), (&[7; 10][..], false));
}

#[test]
fn a_call_that_waits_holds_up_no_other() {
    let world = World::faulty(&["op=getattr,path=/build,delay=300ms"]);
    let (mut client, build, package) = (world.root(), world.at("build"), world.at("package"));
    let began = Instant::now();
    let slow = client.next_call(100_003, 3, 1, &build);
    let fast = client.next_call(100_003, 3, 1, &package);
    client.send(&slow).unwrap();
    client.send(&fast).unwrap();
    assert_eq!(client.receive().unwrap()[..4], fast[..4], "it is answered first");
    assert!(began.elapsed() < Duration::from_millis(300));
    assert_eq!(client.receive().unwrap()[..4], slow[..4]);
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[test]
fn what_was_answered_with_a_fault_is_answered_so_again() {
    let world = World::faulty(&["op=mkdir,error=EIO,count=1"]);
    let (mut client, build) = (world.root(), world.at("build"));
    let arguments =
        nfs3_types::nfs3::MKDIR3args { where_: crate::calls::at(&build, b"new"), attributes: mode(0o755) };
    let call = client.next_call(100_003, 3, 9, &arguments);
    let replies: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            client.send(&call).unwrap();
            client.receive().unwrap()
        })
        .collect();
    assert_eq!(replies[0], replies[1], "a call that is sent again is the same call");
    client.mkdir(&build, b"new", mode(0o755)).unwrap();
    assert_eq!(injected(&world), [(1, Some("/build/new".into()))]);
}

#[test]
fn of_several_faults_the_first_error_counts_and_delays_add_up() {
    let world = World::faulty(&[
        "op=getattr,path=/build,delay=20ms",
        "op=getattr,path=/build,delay=20ms,error=EIO",
        "op=getattr,path=/build,error=EACCES",
    ]);
    let (mut client, build) = (world.root(), world.at("build"));
    let began = Instant::now();
    assert_eq!(refused(client.getattr(&build)), Status::NFS3ERR_IO);
    assert!(began.elapsed() >= Duration::from_millis(40));
    assert_eq!(injected(&world).iter().map(|(count, _)| *count).collect::<Vec<_>>(), [1, 1, 0]);
    let world = World::faulty(&["op=setattr,path=/build/*,error=EROFS"]);
    let file = world.at("build");
    world.root().setattr(&file, size(0)).unwrap_err();
    assert_eq!(injected(&world), [(0, None)], "of a directory that is not meant");
}

#[test]
fn a_clock_that_jumps_gives_later_changes_other_times() {
    let world =
        World::faulty(&["op=create,path=/build/late,clock=+2h", "op=mkdir,path=/build/early,clock=-1d"]);
    let (mut client, build) = (world.root(), world.at("build"));
    let mut made = |name: &[u8]| client.create(&build, name, guarded(0o644)).unwrap().obj_attributes.unwrap();
    let (before, late) = (made(b"before"), made(b"late"));
    let after = made(b"after");
    assert!((7200..7300).contains(&(late.mtime.seconds - before.mtime.seconds)), "{before:?} {late:?}");
    assert!((0..100).contains(&(after.ctime.seconds - late.ctime.seconds)), "{late:?} {after:?}");
    let early = client.mkdir(&build, b"early", mode(0o755)).unwrap().obj_attributes.unwrap();
    assert!(
        (79_100..=79_200).contains(&(before.mtime.seconds - early.mtime.seconds)),
        "{before:?} {early:?}"
    );
    let seen = client.getattr(&world.at("build/before")).unwrap();
    assert_eq!(seen.mtime, before.mtime, "what was there before keeps its times");
    assert_eq!(injected(&world), [(1, Some("/build/late".into())), (1, Some("/build/early".into()))]);
}
