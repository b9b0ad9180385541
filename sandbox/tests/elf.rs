//! Where the loader of a Linux program looks for libraries (ld.so(8)): files of nothing but headers and a dynamic section.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, View, ViewSpec};
use sandbox::program::{self, ProgramError};
use tempfile::TempDir;

/// This machine, and one that it is not.
const MACHINES: (u16, u16) = if cfg!(target_arch = "x86_64") { (62, 183) } else { (183, 62) };
const NEEDED: u64 = 1;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;
const PROGRAM: &str = "/app/bin/program";

/// Bytes of the file's header, of one of a segment, and of an entry of the dynamic section.
const HEADER: usize = 64;
const SEGMENT: usize = 56;
const ENTRY: usize = 16;

/// A file for a 64-bit machine whose dynamic section has these entries.
fn elf(machine: u16, loader: Option<&str>, entries: &[(u64, &str)]) -> Vec<u8> {
    let interpreter = loader.map(|loader| format!("{loader}\0")).unwrap_or_default();
    let at = HEADER + 3 * SEGMENT;
    let dynamic = (at + interpreter.len()).next_multiple_of(8);
    let size = (entries.len() + 3) * ENTRY;
    let mut strings = vec![0];
    let mut section: Vec<u64> = Vec::new();
    for (tag, text) in entries {
        section.extend([*tag, strings.len() as u64]);
        strings.extend(text.bytes().chain([0]));
    }
    // DT_STRTAB, DT_STRSZ, and the end.
    section.extend([5, (dynamic + size) as u64, 10, strings.len() as u64, 0, 0]);
    let all = (dynamic + size + strings.len()) as u64;
    let segment = |kind: u32, offset: u64, size: u64| {
        let head = [kind, 4].into_iter().flat_map(u32::to_le_bytes);
        head.chain([offset, offset, offset, size, size, 8].into_iter().flat_map(u64::to_le_bytes))
    };
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([3, machine].into_iter().flat_map(u16::to_le_bytes));
    file.extend(1_u32.to_le_bytes());
    file.extend([0, HEADER as u64, 0].into_iter().flat_map(u64::to_le_bytes));
    file.extend(0_u32.to_le_bytes());
    let segments = if loader.is_some() { 3 } else { 2 };
    file.extend([HEADER as u16, SEGMENT as u16, segments, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    file.extend(segment(1, 0, all));
    file.extend(segment(2, dynamic as u64, size as u64));
    file.extend(segment(3, at as u64, interpreter.len() as u64));
    file.extend(interpreter.bytes());
    file.resize(dynamic, 0);
    file.extend(section.into_iter().flat_map(u64::to_le_bytes));
    file.extend(strings);
    file
}

fn ours(entries: &[(u64, &str)]) -> Vec<u8> {
    elf(MACHINES.0, None, entries)
}

/// A directory that is `/app` in a view with nothing else.
struct World(TempDir);

impl World {
    fn with(program: &[(u64, &str)]) -> World {
        let world = World(tempfile::tempdir().unwrap());
        world.file("bin/program", &ours(program));
        world
    }

    fn file(&self, name: &str, contents: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn check(&self, library_path: &[&str]) -> Result<(), ProgramError> {
        let source = self.0.path().into();
        let entries = vec![Entry::Graft { at: "/app".into(), source, access: Access::Ro, optional: false }];
        let view = View::open(&ViewSpec { entries }, None).unwrap();
        program::check(&view, Path::new(PROGRAM), vec![], library_path.iter().map(PathBuf::from).collect())
    }
}

fn lacks(object: &str, library: &str) -> Result<(), ProgramError> {
    Err(ProgramError::Library { object: object.into(), library: library.into() })
}

#[test]
fn both_lists_of_directories_may_begin_at_the_objects_own() {
    for tag in [RPATH, RUNPATH] {
        for directories in ["$ORIGIN/../lib", "/absent:${ORIGIN}/../lib"] {
            let world = World::with(&[(NEEDED, "libone.so"), (tag, directories)]);
            assert_eq!(world.check(&[]), lacks(PROGRAM, "libone.so"));
            world.file("lib/libone.so", &ours(&[]));
            assert_eq!(world.check(&[]), Ok(()));
        }
    }
}

#[test]
fn libraries_inherit_rpath_and_not_runpath() {
    for (tag, expected) in [(RPATH, Ok(())), (RUNPATH, lacks("/app/bin/../lib/libone.so", "libtwo.so"))] {
        let world = World::with(&[(NEEDED, "libone.so"), (tag, "$ORIGIN/../lib")]);
        world.file("lib/libone.so", &ours(&[(NEEDED, "libtwo.so")]));
        world.file("lib/libtwo.so", &ours(&[]));
        assert_eq!(world.check(&[]), expected);
    }
}

#[test]
fn an_object_with_runpath_does_not_use_the_rpath_that_it_inherits() {
    let world = World::with(&[(NEEDED, "libone.so"), (RPATH, "/app/lib")]);
    world.file("lib/libone.so", &ours(&[(NEEDED, "libtwo.so"), (RUNPATH, "/app/other")]));
    world.file("lib/libtwo.so", &ours(&[]));
    assert_eq!(world.check(&[]), lacks("/app/lib/libone.so", "libtwo.so"));
    world.file("other/libtwo.so", &ours(&[]));
    assert_eq!(world.check(&[]), Ok(()));
}

#[test]
fn the_callers_directories_come_after_rpath_and_before_runpath() {
    for (tag, first) in [(RPATH, "/app/own/libone.so"), (RUNPATH, "/app/callers/libone.so")] {
        let world = World::with(&[(NEEDED, "libone.so"), (tag, "/app/own")]);
        for directory in ["own", "callers"] {
            // What it needs is nowhere, so that the error names the one that was found.
            world.file(&format!("{directory}/libone.so"), &ours(&[(NEEDED, "libabsent.so")]));
        }
        assert_eq!(world.check(&["/app/callers"]), lacks(first, "libabsent.so"));
    }
}

#[test]
fn a_name_with_a_slash_is_a_path() {
    let world = World::with(&[(NEEDED, "$ORIGIN/plugins/libone.so")]);
    assert_eq!(world.check(&["/app/lib"]), lacks(PROGRAM, "$ORIGIN/plugins/libone.so"));
    world.file("bin/plugins/libone.so", &ours(&[]));
    assert_eq!(world.check(&[]), Ok(()));
}

#[test]
fn libraries_of_another_machine_are_passed_over_and_programs_refused() {
    let world = World::with(&[(NEEDED, "libone.so"), (RUNPATH, "/app/first:/app/second")]);
    world.file("first/libone.so", &elf(MACHINES.1, None, &[]));
    assert_eq!(world.check(&[]), lacks(PROGRAM, "libone.so"));
    world.file("second/libone.so", &ours(&[]));
    assert_eq!(world.check(&[]), Ok(()));
    world.file("bin/program", &elf(MACHINES.1, None, &[]));
    assert!(
        matches!(world.check(&[]), Err(ProgramError::Foreign { path, .. }) if path == Path::new(PROGRAM))
    );
}

#[test]
fn a_loader_is_looked_for_where_the_program_says() {
    let world = World::with(&[]);
    let loader = "/app/loader";
    world.file("bin/program", &elf(MACHINES.0, Some(loader), &[]));
    let missing = ProgramError::Loader { program: PROGRAM.into(), loader: loader.into() };
    assert_eq!(world.check(&[]), Err(missing));
    world.file("loader", b"a loader");
    assert_eq!(world.check(&[]), Ok(()));
}

#[test]
fn a_program_that_is_cut_short_is_malformed() {
    let whole = elf(MACHINES.0, Some("/app/loader"), &[(NEEDED, "libone.so"), (RUNPATH, "/app/lib")]);
    let world = World::with(&[]);
    world.file("loader", b"a loader");
    world.file("lib/libone.so", &ours(&[]));
    world.file("bin/program", &whole);
    assert_eq!(world.check(&[]), Ok(()));
    for length in 4..whole.len() - 1 {
        world.file("bin/program", &whole[..length]);
        let problem = world.check(&[]);
        assert!(matches!(problem, Err(ProgramError::Malformed { .. })), "{length} bytes: {problem:?}");
    }
}
