//! What the cases in the virtual machine execute of loopbox.
//!
//! Many of its processes are killed, may write no file, or start without an environment. So all of them count in one file, which
//! each maps before it does anything else (LLVM's continuous mode, `%c`), and whose name is in the program itself.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::lab::new_nix::NewNix;
use crate::lab::ssh::Ssh;
use crate::lab::{Lab, remove, say};
use crate::tally::Tally;
use crate::xtask::boots;

/// Those that execute most, the longest first. `hide`, `shell`, `graph`, `verify` and `wait` add less than a line in two hundred.
const GROUPS: &[&[&str]] = &[
    &["__vm-cases", "clean", "--on", "tmpfs"],
    &["__vm-cases", "nix", "--on", "tmpfs"],
    &["__vm-cases", "program", "--on", "tmpfs"],
    &["__vm-cases", "attacks", "--on", "tmpfs"],
    &["__vm-cases", "backends", "--on", "tmpfs"],
    &["__vm-cases", "hold", "--on", "tmpfs"],
];
/// Where four run on two processors, the longest takes eight minutes.
const LIMIT: Duration = Duration::from_secs(1800);
/// The name that the compiler puts into a program: of the file to count in where `LLVM_PROFILE_FILE` is not set.
const USUAL: &[u8] = b"default_%m_%p.profraw\0";
/// What is put in its place: a file in memory, in a directory that every user may write to and that is in other roots too.
const SHARED: &[u8; USUAL.len()] = b"/dev/shm/%c%m.profraw\0";
/// Runs cases, whose group is the third argument. Root makes the file; other users count in it too.
const SCRIPT: &str = r#"
"$LOOPBOX_PROGRAM" --version >/dev/null && chmod a+rw /dev/shm/*.profraw || exit
"$@"
status=$?
cp /dev/shm/*.profraw "$LOOPBOX_KEPT/coverage/$3.profraw" || exit
exit $status
"#;

/// Runs the cases with this program, which has counters, and copies what they count to `profiles`.
pub fn run(lab: &Lab, program: &Path, profiles: &Path) -> Result<Tally> {
    NewNix::bring(lab)?;
    Ssh::bring(lab)?;
    let counted = lab.kept("coverage")?;
    remove(&counted)?;
    lab.kept("coverage")?;
    let mut loopbox = OsString::from("LOOPBOX_PROGRAM=");
    loopbox.push(sharing(lab, program)?);
    let words = ["env".into(), loopbox, "sh".into(), "-c".into(), SCRIPT.into(), "sh".into()];
    let command: Vec<OsString> = words.into_iter().chain([lab.own_program()?.into()]).collect();
    let tally = boots::run(lab, &command, GROUPS, LIMIT);
    say(&format!("cases with counters: {tally}"));
    for entry in fs::read_dir(&counted)? {
        let from = entry?.path();
        let to = profiles.join(from.file_name().unwrap_or_default());
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(tally)
}

/// A copy of the program all of whose processes count in the same file.
fn sharing(lab: &Lab, program: &Path) -> Result<PathBuf> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let copy = lab.path("coverage/program/loopbox")?;
    fs::write(&copy, with_shared_counters(bytes)?)
        .and_then(|()| fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

/// The program with another name for the file that it counts in; the compiler has no option for that name.
fn with_shared_counters(mut program: Vec<u8>) -> Result<Vec<u8>> {
    let windows = program.windows(USUAL.len()).enumerate();
    let places: Vec<usize> = windows.filter(|(_, bytes)| *bytes == USUAL).map(|(at, _)| at).collect();
    ensure!(places.len() == 1, "the name of the file to count in is {} times in the program", places.len());
    for at in places {
        program[at..at + SHARED.len()].copy_from_slice(SHARED);
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_is_replaced() {
        let program = [b"code\0", USUAL, b"more"].concat();
        assert_eq!(with_shared_counters(program).unwrap(), b"code\0/dev/shm/%c%m.profraw\0more");
    }

    #[test]
    fn a_program_without_the_name_or_with_two_is_refused() {
        with_shared_counters(b"code".to_vec()).unwrap_err();
        with_shared_counters([USUAL, USUAL].concat()).unwrap_err();
    }
}
