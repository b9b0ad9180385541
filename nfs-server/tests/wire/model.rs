//! The same steps in three places: over the wire, in a directory beside it by plain system calls, and in memory. Each has to
//! give the same result or the same error everywhere, whatever was done before.

mod memory;
mod served;
mod system;

use nfs3_types::nfs3::nfsstat3;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::World;
use memory::Memory;
use served::Served;
use system::System;

/// Steps of one run.
const STEPS: usize = 200;
/// How many steps there are in all; `LOOPBOX_MODEL_STEPS` says another number.
const ALL: usize = 20_000;
const MODEL_STEPS: &str = "LOOPBOX_MODEL_STEPS";
/// Few, so that they meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// How deep paths go.
const DEPTH: usize = 3;
/// The longest file, in bytes.
const LENGTH: u16 = 3 * 4096;

/// A path below the top: names, at least one.
type Path = Vec<&'static str>;

/// Something that is done.
#[derive(Clone, Debug)]
enum Step {
    Create(Path),
    MakeDirectory(Path),
    MakeSymlink(Path, &'static str),
    Remove(Path),
    RemoveDirectory(Path),
    Link(Path, Path),
    Rename(Path, Path),
    Write(Path, u16, Vec<u8>),
    Truncate(Path, u16),
    Mode(Path, u16),
    Read(Path, u16, u16),
    ReadLink(Path),
    List(Path),
    Look(Path),
}

/// What it gave.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    Bytes(Vec<u8>),
    Target(String),
    /// Sorted.
    Names(Vec<String>),
    Attributes(Attributes),
}

/// What is the same of a file wherever it is.
#[derive(Debug, PartialEq, Eq)]
enum Attributes {
    File { size: u64, links: u32, mode: u32 },
    Directory { mode: u32 },
    Symlink { size: u64, links: u32 },
}

/// A place where steps are taken.
trait Place {
    /// Takes one.
    fn take(&mut self, step: &Step) -> Result<Given, nfsstat3>;
}

fn path() -> impl Strategy<Value = Path> {
    vec(prop::sample::select(&NAMES[..]), 1..=DEPTH)
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(&NAMES[..]);
    let bytes = (any::<u8>(), 1..5000_usize).prop_map(|(byte, length)| vec![byte; length]);
    prop_oneof![
        3 => path().prop_map(Step::Create),
        3 => path().prop_map(Step::MakeDirectory),
        1 => (path(), name()).prop_map(|(path, target)| Step::MakeSymlink(path, target)),
        2 => path().prop_map(Step::Remove),
        1 => path().prop_map(Step::RemoveDirectory),
        2 => (path(), path()).prop_map(|(from, to)| Step::Link(from, to)),
        4 => (path(), path()).prop_map(|(from, to)| Step::Rename(from, to)),
        3 => (path(), 0..LENGTH, bytes).prop_map(|(path, offset, bytes)| Step::Write(path, offset, bytes)),
        2 => (path(), 0..LENGTH).prop_map(|(path, size)| Step::Truncate(path, size)),
        1 => (path(), 0o400..0o1000_u16).prop_map(|(path, mode)| Step::Mode(path, mode)),
        3 => (path(), 0..LENGTH, 1..LENGTH).prop_map(|(path, from, count)| Step::Read(path, from, count)),
        1 => path().prop_map(Step::ReadLink),
        2 => path().prop_map(Step::List),
        3 => path().prop_map(Step::Look),
    ]
}

fn runs() -> u32 {
    let steps = std::env::var(MODEL_STEPS).ok().map(|text| text.parse().expect("a number of steps"));
    (steps.unwrap_or(ALL) / STEPS).try_into().expect("not too many")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(runs()))]

    #[test]
    fn a_step_gives_the_same_over_the_wire_by_system_calls_and_in_memory(steps in vec(step(), STEPS)) {
        let world = World::new();
        let beside = tempfile::tempdir().unwrap();
        let mut served = Served::new(&world);
        let mut system = System::new(beside.path());
        let mut memory = Memory::default();
        for (number, step) in steps.iter().enumerate() {
            let expected = memory.take(step);
            prop_assert_eq!(&system.take(step), &expected, "step {}, {:?}, by system calls", number, step);
            prop_assert_eq!(&served.take(step), &expected, "step {}, {:?}, over the wire", number, step);
        }
    }
}
