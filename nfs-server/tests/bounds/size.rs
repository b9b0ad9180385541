//! Files that may not grow any further.

use nfs_server::view::{Access, Blocking, Caller, Entry, Error, View, ViewSpec};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};

use super::alone;

/// The most bytes that a file may have: more than what this program prints into one.
const LIMIT: u64 = 4 << 30;

#[test]
fn a_write_that_has_room_for_a_part_says_how_much() {
    let _alone = alone();
    // It would end the process (setrlimit(2)).
    let exceeded = SigSet::from(Signal::SIGXFSZ);
    exceeded.thread_block().unwrap();
    let host = tempfile::NamedTempFile::new().unwrap();
    let entry =
        Entry::Graft { at: "/file".into(), source: host.path().into(), access: Access::Rw, optional: false };
    let view = View::open(&ViewSpec { entries: vec![entry] }, None).unwrap();
    let (node, _) = view.lookup(&view.root(), b"file", Caller::ROOT).unwrap();
    let file = view.writable(node).unwrap();
    let write = |offset| file.write(offset, &[b'x'; 600][..], false, Caller::ROOT, Blocking::Allowed);
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, LIMIT, hard).unwrap();
    let counts = [LIMIT - 1000, LIMIT - 400, LIMIT]
        .map(|offset| write(offset).map(|written| (written.count, written.attributes.size)));
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    assert_eq!(counts, [Ok((600, LIMIT - 400)), Ok((400, LIMIT)), Err(Error::TooLarge)]);
}
