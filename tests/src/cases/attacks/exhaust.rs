//! Using up what others need too.

use std::path::PathBuf;

use super::{Outcome, USER, World, attacks};
use crate::cases::clean::store::Store;

/// What a program may write here, in bytes, and how many files it may make.
const BYTES: &str = "1M";
const INODES: &str = "50";
/// More than that.
const TOO_MANY: usize = 200;
/// How long a log may be, in bytes.
const LOG: &str = "20000";

attacks! {
    bytes, "filling the disk", [Quotas], |world| {
        let line = "/bin/busybox dd if=/dev/zero of=/tmp/file bs=1M count=8 && echo all";
        write(world, &["--max-bytes", BYTES], line)
    };
    inodes, "using up inodes", [Quotas], |world| {
        let line = format!("i=0; while [ $i -lt {TOO_MANY} ]; do echo > /tmp/$i || exit 1; i=$((i + 1)); done; echo all");
        write(world, &["--max-inodes", INODES], &line)
    };
    log, "a log without end", [LogSize], |world| {
        let script = "i=0; while [ $i -lt 2000 ]; do echo a line that is long enough for what is tried; i=$((i + 1)); done; echo > $out";
        build(world, script, &["--option", "max-build-log-size", LOG])
    };
    depth, "an output that is deeper than a store holds", [OutputDepth],
        |world| build(world, "mkdir $out; /program __other deep $out 100", &[]);
}

/// What a line of a shell writes in a view, with these limits.
fn write(world: &World, limits: &[&str], line: &str) -> Outcome {
    let user = USER.to_string();
    let words = ["run", "--uid", &user, "--with", "/bin/busybox"];
    let ran = world.loopbox.run(words.iter().chain(limits).chain(&["--", "/bin/busybox", "sh", "-c", line]));
    Outcome::when(ran.stdout.ends_with("all"), ran.told())
}

/// Whether a build by a script is registered.
pub fn build(world: &World, script: &str, words: &[&str]) -> Outcome {
    let mut store = Store::make(&world.place);
    let ran = world.weaken(store.script(&world.place, script, "").args(words));
    let output = PathBuf::from(ran.stdout.trim());
    Outcome::when(ran.status == 0 && output.starts_with("/nix/store") && output.exists(), ran.told())
}
