//! What a Mac's program needs, and what a view lacks of it: programs of nothing but load commands, looked into on any system.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, View, ViewSpec};
use sandbox::program::{self, ProgramError};
use tempfile::TempDir;

const PROGRAM: &str = "/app/bin/program";
const LOADER: &str = "/usr/lib/dyld";

/// A load command.
enum Load {
    Loader(&'static str),
    Library(&'static str),
    Rpath(&'static str),
}

impl Load {
    /// Its number, how many words come before its text, and that.
    fn bytes(&self) -> Vec<u8> {
        let (number, words, text) = match self {
            Load::Loader(text) => (0xe, 3, text),
            Load::Library(text) => (0xc, 6, text),
            Load::Rpath(text) => (0x8000_001c_u32, 3, text),
        };
        let size = (4 * words + text.len() + 1).next_multiple_of(8);
        let mut bytes: Vec<u8> =
            [number, size as u32, 4 * words as u32].into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.resize(4 * words, 0);
        bytes.extend(text.bytes());
        bytes.resize(size, 0);
        bytes
    }
}

/// A program for 64-bit ARM.
fn mach_o(commands: &[Load]) -> Vec<u8> {
    let body: Vec<u8> = commands.iter().flat_map(Load::bytes).collect();
    let header = [0xfeed_facf, 0x0100_000c, 0, 2, commands.len() as u32, body.len() as u32, 0, 0];
    header.into_iter().flat_map(u32::to_le_bytes).chain(body).collect()
}

/// The same in a file of many architectures, which has this one alone.
fn fat(program: &[u8]) -> Vec<u8> {
    const AT: usize = 64;
    let head = [0xcafe_babe, 1, 0x0100_000c, 0, AT as u32, program.len() as u32, 0];
    let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_be_bytes).collect();
    bytes.resize(AT, 0);
    bytes.extend(program);
    bytes
}

/// A directory that is `/app` in the view, and a file that is the loader.
struct World(TempDir);

impl World {
    fn with(program: &[u8]) -> World {
        let world = World(tempfile::tempdir().unwrap());
        world.file("app/bin/program", program);
        world.file("dyld", b"a loader");
        world
    }

    fn file(&self, name: &str, contents: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn check(&self) -> Result<(), ProgramError> {
        self.check_with(&[("/app", "app"), (LOADER, "dyld")])
    }

    fn check_with(&self, grafts: &[(&str, &str)]) -> Result<(), ProgramError> {
        let graft = |(at, source): &(&str, &str)| {
            let (at, source) = (PathBuf::from(at), self.0.path().join(source));
            Entry::Graft { at, source, access: Access::Ro, optional: false }
        };
        let view = View::open(&ViewSpec { entries: grafts.iter().map(graft).collect() }, None).unwrap();
        program::check(&view, Path::new(PROGRAM), vec![], vec![])
    }
}

const COMMANDS: [Load; 4] = [
    Load::Loader(LOADER),
    Load::Rpath("@loader_path/../lib"),
    Load::Library("@rpath/libone.dylib"),
    Load::Library("/usr/lib/libSystem.B.dylib"),
];

#[test]
fn a_library_is_found_where_rpath_says_and_the_systems_own_are_not_looked_for() {
    for program in [mach_o(&COMMANDS), fat(&mach_o(&COMMANDS))] {
        let world = World::with(&program);
        world.file("app/lib/libone.dylib", &mach_o(&[]));
        assert_eq!(world.check(), Ok(()));
    }
}

#[test]
fn a_missing_loader_is_named_and_so_is_a_missing_library() {
    for program in [mach_o(&COMMANDS), fat(&mach_o(&COMMANDS))] {
        let world = World::with(&program);
        let missing = ProgramError::Loader { program: PROGRAM.into(), loader: LOADER.into() };
        assert_eq!(world.check_with(&[("/app", "app")]), Err(missing));
        let missing = ProgramError::Library { object: PROGRAM.into(), library: "@rpath/libone.dylib".into() };
        assert_eq!(world.check(), Err(missing));
    }
}

#[test]
fn a_library_has_libraries_by_the_programs_directory_and_inherits_where_to_search() {
    let world = World::with(&mach_o(&COMMANDS));
    let one = [Load::Library("@executable_path/libtwo.dylib"), Load::Library("@rpath/libthree.dylib")];
    world.file("app/lib/libone.dylib", &mach_o(&one));
    world.file("app/bin/libtwo.dylib", &mach_o(&[]));
    let missing = ProgramError::Library {
        object: "/app/bin/../lib/libone.dylib".into(),
        library: "@rpath/libthree.dylib".into(),
    };
    assert_eq!(world.check(), Err(missing));
    // Back to the first: libraries that need each other are looked at once.
    world.file("app/lib/libthree.dylib", &mach_o(&[Load::Library("@loader_path/libone.dylib")]));
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn a_program_that_is_cut_short_is_malformed() {
    let whole = mach_o(&COMMANDS);
    // Without its last command's text, one byte of which is the end of the file.
    for length in (8..whole.len() - 16).step_by(4) {
        let problem = World::with(&whole[..length]).check();
        assert!(matches!(problem, Err(ProgramError::Malformed { .. })), "{length} bytes: {problem:?}");
    }
}
