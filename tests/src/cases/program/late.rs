//! Writes that fail after the call that made them: who is told of it, and when a run fails for it.

use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

use super::mount::Mounted;

cases![
    what_a_command_was_told_of_and_removed_is_its_own_affair,
    what_nobody_was_told_of_fails_the_run,
    a_mount_whose_user_coped_with_a_full_disk_is_unmounted,
];

/// Bytes on the small disk.
const DISK: &str = "size=2m,mode=777";
/// Fills it, is told so, and copes.
const COPES: &str = "dd if=/dev/zero of=full bs=64k count=100 conv=fsync && echo it fits; rm full; true";

/// A directory on a disk that is soon full.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn at(directory: &Path) -> Small<'_> {
        mount(Some("small"), directory, Some("tmpfs"), MsFlags::empty(), Some(DISK)).expect("root can mount");
        Small(directory)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        // Whoever still uses it has failed already.
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

fn what_a_command_was_told_of_and_removed_is_its_own_affair(place: &Place) {
    let directory = place.directory("small");
    let _small = Small::at(&directory);
    let show = format!("{}:/w", directory.display());
    let words = ["run", "--with", "sh", "--with", "dd", "--with", "rm", "--chdir", "/w", "--rw", &show];
    let ran = Loopbox::at(place).run(words.into_iter().chain(["--", "sh", "-c", COPES]));
    assert!(ran.stderr.contains("No space left on device") && ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(ran.status, 0, "{ran:?}");
}

/// It writes through a mapping and ends, so that nobody is left who could be told.
fn what_nobody_was_told_of_fails_the_run(place: &Place) {
    let directory = place.directory("small");
    let _small = Small::at(&directory);
    let show = format!("{}:/w", directory.display());
    let program = std::env::current_exe().expect("this program has a file").display().to_string();
    let words = ["run", "--with", &program, "--rw", &show, "--", &program, "__other", "fill", "/w/full"];
    let ran = Loopbox::at(place).run(words);
    assert_eq!(ran.status, 125, "{ran:?}");
    assert!(ran.stderr.contains("could not be stored"), "{ran:?}");
}

fn a_mount_whose_user_coped_with_a_full_disk_is_unmounted(place: &Place) {
    let directory = place.directory("work");
    let _small = Small::at(&directory);
    let mounted = Mounted::new(place);
    place.shell(&format!("cd mnt/work; {COPES}"));
    assert_eq!(mounted.unmount(&[]), "exit status 0");
    mounted.ends_with(Some(0));
}
