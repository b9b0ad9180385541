//! Open descriptors: few, however many files and directories are read.

use std::fs;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;

use tempfile::TempDir;

use nfs_server::view::{Blocking, Caller, Entry, View, ViewSpec};

use crate::alone;
use crate::world::World;

/// A directory in memory, where the system offers that: thousands of files keep a disk busy for seconds.
fn host() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A view of a host directory with this many directories, each with a file.
fn wide(host: &std::path::Path, count: usize) -> View {
    for index in 0..count {
        fs::create_dir(host.join(index.to_string())).unwrap();
        fs::write(host.join(index.to_string()).join("file"), index.to_string()).unwrap();
    }
    let entries = vec![Entry::Graft {
        at: "/wide".into(),
        source: host.into(),
        access: Default::default(),
        optional: false,
    }];
    View::open(&ViewSpec { entries }, None).unwrap()
}

fn read_all(view: &View, count: usize) {
    for index in 0..count {
        let contents = view.read_file(format!("/wide/{index}/file").as_ref()).unwrap();
        assert_eq!(contents, index.to_string().into_bytes());
        let directory = view.find(format!("/wide/{index}").as_ref()).unwrap();
        assert_eq!(directory.path, std::path::Path::new(&format!("/wide/{index}")));
    }
}

#[test]
fn three_thousand_files_in_as_many_directories_leave_few_open() {
    let _alone = alone();
    let host = host();
    let before = open_descriptors();
    let view = wide(host.path(), 3000);
    read_all(&view, 3000);
    let open = open_descriptors() - before;
    assert!((1..=1024 + 512 + 8).contains(&open), "{open} descriptors");
    view.close();
    assert_eq!(open_descriptors(), before, "a view that was closed holds nothing open");
    read_all(&view, 10);
}

#[test]
fn a_process_that_may_open_256_files_can_still_serve_a_thousand() {
    let _alone = alone();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let host = host();
    setrlimit(Resource::RLIMIT_NOFILE, 256, hard).unwrap();
    let view = wide(host.path(), 1000);
    read_all(&view, 1000);
    let open = open_descriptors();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert!(open < 224, "{open} descriptors");
}

/// Processor time that this program has taken.
fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| Duration::from_micros(time.num_microseconds() as u64);
    seconds(usage.user_time()) + seconds(usage.system_time())
}

#[test]
fn a_connection_that_there_is_no_descriptor_for_waits_and_is_then_served() {
    let _alone = alone();
    let world = World::new();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let next = fs::File::open("/").unwrap().as_raw_fd() as u64;
    setrlimit(Resource::RLIMIT_NOFILE, next + 1, hard).unwrap();
    let mut client = world.root();
    let before = processor_time();
    client.stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let waited = client.stream.read(&mut [0; 1]).map_err(|error| error.kind());
    let taken = processor_time() - before;
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(waited, Err(std::io::ErrorKind::WouldBlock), "it is not turned away");
    assert!(taken < Duration::from_millis(150), "{taken:?} of a processor to wait for 300 ms");
    client.null();
}

#[test]
fn every_source_of_many_entries_is_reached_with_few_descriptors() {
    let _alone = alone();
    let host = host();
    let entries = (0..2000)
        .map(|index| {
            let directory = host.path().join(format!("holder{index}"));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("file"), "text").unwrap();
            let (at, source) = (format!("/file{index}").into(), directory.join("file"));
            Entry::Graft { at, source, access: Default::default(), optional: false }
        })
        .collect();
    let before = open_descriptors();
    let view = View::open(&ViewSpec { entries }, None).unwrap();
    let root = view.root();
    for index in 0..2000 {
        let name = format!("file{index}");
        let (node, _) = view.lookup(&root, name.as_bytes(), Caller::ROOT).unwrap();
        assert_eq!(view.read(&node, 0, &mut [0; 8], Caller::ROOT, Blocking::Allowed).unwrap().count, 4);
    }
    assert!(open_descriptors() - before <= 1024 + 512 + 8);
}
