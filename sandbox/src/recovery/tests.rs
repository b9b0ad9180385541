//! Run records are written, read back, swept and kept.

use std::fs;
use std::path::Path;

use super::{Leftovers, StateDir, StateError};

#[test]
fn a_live_run_is_not_swept() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let kept = place.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let record = state.record(Leftovers { mount: None, temporary: vec![kept.clone()] }).unwrap();
    assert_eq!(state.sweep().unwrap().len(), 0);
    assert!(kept.exists());
    drop(record);
    assert_eq!(fs::read_dir(place.path().join("state")).unwrap().count(), 0);
}

#[test]
fn what_a_dead_run_left_is_removed_and_its_record_with_it() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let left = place.path().join("left");
    fs::create_dir_all(left.join("deep")).unwrap();
    let record = state.record(Leftovers { mount: None, temporary: vec![left.clone()] }).unwrap();
    make_owner_dead(&record.file);
    std::mem::forget(record);
    let swept = state.sweep().unwrap();
    assert_eq!(swept[0].removed, std::slice::from_ref(&left));
    assert!(!left.exists());
    assert_eq!(state.sweep().unwrap().len(), 0);
}

#[test]
fn a_record_stays_while_the_record_of_an_image_does() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let record = state.record(Leftovers::default()).unwrap();
    let (file, image) = (record.file.clone(), record.image());
    fs::write(&image, "{}").unwrap();
    drop(record);
    assert!(file.exists() && image.parent() == file.parent());
}

#[test]
fn a_mount_is_found_where_the_kernel_has_it() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let (typed, kept) = (place.path().join("VIEW"), place.path().join("View"));
    let mut record = state.record(Leftovers { mount: Some(typed.clone()), temporary: Vec::new() }).unwrap();
    assert_eq!(state.owner_of(&typed).unwrap(), Some(std::process::id()));
    record.mounted_at(&kept).unwrap();
    assert_eq!(state.owner_of(&kept).unwrap(), Some(std::process::id()));
    assert_eq!(state.owner_of(&typed).unwrap(), None);
}

#[test]
fn a_directory_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(StateDir::open(place.path()), Err(StateError::NotOurs { .. })));
}

#[test]
fn a_directory_that_others_may_exchange_is_refused_to_root() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let opened = StateDir::open(&place.path().join("state"));
    assert_eq!(
        matches!(opened, Err(StateError::Exchangeable { .. })),
        nix::unistd::geteuid().is_root(),
        "{opened:?}"
    );
    assert_eq!(place.path().join("state").exists(), opened.is_ok());
}

#[test]
fn a_record_that_was_being_written_is_removed_once_its_writer_is_dead() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let file = |pid: u32| place.path().join(format!("state/{pid}-0.json.new"));
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    fs::write(file(child.id()), "{").unwrap();
    fs::write(file(std::process::id()), "{").unwrap();
    state.sweep().unwrap();
    assert!(!file(child.id()).exists());
    assert!(file(std::process::id()).exists());
}

#[test]
fn a_socket_of_a_dead_run_is_removed_when_its_record_is_gone() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let file = |pid: u32, kind: &str| place.path().join(format!("state/{pid}-0.{kind}"));
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    for pid in [child.id(), std::process::id()] {
        fs::write(file(pid, "status"), "").unwrap();
    }
    state.sweep().unwrap();
    assert!(!file(child.id(), "status").exists());
    assert!(file(std::process::id(), "status").exists());
}

#[test]
fn a_record_stays_until_what_it_is_of_can_be_removed() {
    let place = tempfile::tempdir().unwrap();
    let state = StateDir::open(&place.path().join("state")).unwrap();
    let (kept, other) = (place.path().join("kept"), place.path().join("file/other"));
    fs::create_dir(&kept).unwrap();
    // What is no directory has nothing in it, and says so in an error of its own.
    fs::write(place.path().join("file"), "").unwrap();
    let record =
        state.record(Leftovers { mount: None, temporary: vec![kept.clone(), other.clone()] }).unwrap();
    let file = record.file.clone();
    let error = record.remove(&other).unwrap_err().to_string();
    assert!(error.starts_with("cannot remove") && error.contains("file/other"), "{error}");
    drop(record);
    assert_eq!(state.sweep().unwrap().len(), 0, "the run is alive");
    make_owner_dead(&file);
    let swept = state.sweep().unwrap();
    assert!(swept[0].left[0].0 == other && file.exists(), "{swept:?}");
    fs::remove_file(place.path().join("file")).unwrap();
    assert_eq!(state.sweep().unwrap()[0].left.len(), 0);
    assert!(kept.exists() && !file.exists(), "what was not to be removed is not in the record any more");
}

fn make_owner_dead(record: &Path) {
    let mut written: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    written["owner"]["started"] = 1.into();
    fs::write(record, written.to_string()).unwrap();
}
