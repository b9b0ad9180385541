//! Writes that the host takes in part, or cannot keep.

use std::fs;
use std::path::Path;

use nfs_server::view::{Access, Blocking, Caller, Entry, Error, View, ViewSpec, WriteOutcome};

/// How likely this process is to be killed when memory is short: a file that can be written and not synced (proc_pid_oom_score_adj(5)).
const NOT_SYNCED: &str = "/proc/self/oom_score_adj";

fn write(source: &Path, data: &[u8], sync: bool) -> Result<WriteOutcome, Error> {
    let entry =
        Entry::Graft { at: "/file".into(), source: source.into(), access: Access::Rw, optional: false };
    let view = View::open(&ViewSpec { entries: vec![entry] }, None).unwrap();
    let (node, _) = view.lookup(&view.root(), b"file", Caller::ROOT).unwrap();
    view.writable(node).unwrap().write(0, data, sync, Caller::ROOT, Blocking::Allowed)
}

#[test]
fn what_is_to_be_synced_and_cannot_be_is_an_error() {
    let own = fs::read(NOT_SYNCED).unwrap();
    let written = write(NOT_SYNCED.as_ref(), &own, false).unwrap();
    assert_eq!((written.count, written.durable), (own.len(), false));
    assert_eq!(write(NOT_SYNCED.as_ref(), &own, true), Err(Error::Invalid));
    let host = tempfile::NamedTempFile::new().unwrap();
    let written = write(host.path(), b"data", true).unwrap();
    assert_eq!((written.count, written.durable, written.attributes.size), (4, true, 4));
}
