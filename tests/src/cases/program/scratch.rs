//! `--scratch`: what a command or a build writes is the machine's own file system, or served; nothing else changes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::cases::clean::store::Store;
use crate::cases::clean::traces;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Place, cases};

cases![
    a_scratch_is_the_machines_own,
    over_nfs_it_is_served,
    what_stays_on_the_machine_is_served,
    a_scratch_with_something_below_it_is_served,
    nobody_else_reaches_a_scratch,
    a_build_writes_locally_and_its_outputs_are_served,
    what_is_kept_of_a_failed_build_is_set_id_for_nobody,
];

/// What `stat -f` calls the client's file system.
const NFS: &str = "nfs";

/// How long a build may take to begin.
const START: Duration = Duration::from_secs(30);

/// What kinds of file systems places are on, for a command that is run with these words.
fn kinds(place: &Place, words: &[&str], places: &str) -> Vec<String> {
    let user = USER.to_string();
    let script = format!("stat -f -c %T {places}");
    let shell = ["--uid", &user, "--gid", &user, "--with", "stat", "--with", "sh", "--", "sh", "-c", &script];
    let told = Loopbox::at(place).good([&["run"], words, &shell].concat());
    told.lines().map(String::from).collect()
}

fn a_scratch_is_the_machines_own(place: &Place) {
    let loopbox = Loopbox::at(place);
    let [root, tmp, own] = &kinds(place, &["--tmpfs", "/own"], "/ /tmp /own")[..] else { panic!("three") };
    assert_eq!(root, NFS);
    assert!(tmp != NFS && own != NFS, "{tmp} {own}");
    assert_eq!(place.names("temporary"), [""; 0], "it is gone afterwards");
    let words = ["run", "--with", "cat", "--", "cat", "/proc/self/mountinfo"];
    let mounts = loopbox.good(words);
    let tmp = mounts.lines().find(|line| line.contains(" /tmp ")).expect("it is a mount");
    assert!(tmp.contains("nosuid,nodev"), "{tmp}");
    let plan: serde_json::Value =
        serde_json::from_str(&loopbox.good(["run", "--dry-run", "--with", "cat", "--", "cat"]))
            .expect("JSON");
    assert_eq!(plan["local"], serde_json::json!(["/tmp"]));
    traces::assert_not_mounted();
}

fn over_nfs_it_is_served(place: &Place) {
    let kinds = kinds(place, &["--scratch", "nfs", "--tmpfs", "/own"], "/ /tmp /own");
    assert_eq!(kinds, [NFS; 3]);
}

fn what_stays_on_the_machine_is_served(place: &Place) {
    let work = format!("{}:/work", place.directory("work").display());
    assert_eq!(kinds(place, &["--rw", &work], "/work"), [NFS]);
}

fn a_scratch_with_something_below_it_is_served(place: &Place) {
    let shown = format!("{}:/tmp/shown", place.directory("shown").display());
    assert_eq!(kinds(place, &["--ro", &shown], "/tmp /tmp/shown"), [NFS; 2]);
}

/// Files there may be set-id, which the mount does not honour; whoever else has them as files of the machine cannot get at them.
fn nobody_else_reaches_a_scratch(place: &Place) {
    let script = "cp /bin/cat /tmp/id; chmod 4755 /tmp/id; touch /tmp/ready; sleep 1000";
    let with = ["sh", "cp", "cat", "chmod", "touch", "sleep"].map(|program| ["--with", program]).concat();
    let (user, shown) = (USER.to_string(), "/bin/cat:/bin/cat");
    let words = [&["run"], &with[..], &["--uid", &user, "--ro", shown, "--", "sh", "-c", script]].concat();
    let mut run = Loopbox::at(place).command(words).spawn().expect("loopbox can be started");
    let began = Instant::now();
    let tmp = loop {
        let sessions = place.names("temporary").into_iter();
        let mut scratches = sessions.map(|name| place.path("temporary").join(name).join("tmp"));
        if let Some(tmp) = scratches.find(|tmp| tmp.join("ready").exists()) {
            break tmp;
        }
        assert!(began.elapsed() < START, "the command has not begun");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(tmp.join("id").metadata().expect("root sees it").mode() & 0o7777, 0o4755);
    let session = tmp.parent().expect("it has one");
    assert_eq!(session.metadata().expect("it is there").mode() & 0o077, 0);
    let mut other = std::process::Command::new(tmp.join("id"));
    let refused = std::os::unix::process::CommandExt::uid(&mut other, USER + 1).spawn();
    assert_eq!(refused.err().and_then(|error| error.raw_os_error()), Some(libc::EACCES));
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    Loopbox::at(place).good(["clean"]);
    traces::wait_until_gone(&[USER]);
    assert_eq!(place.names("temporary"), [""; 0]);
}

fn a_build_writes_locally_and_its_outputs_are_served(place: &Place) {
    let mut store = Store::make(place);
    let script = "for it in . /tmp /nix/store; do stat -f -c %T $it; done > $out; cat $out";
    for (words, local) in [(&[][..], true), (&["--scratch", "nfs"][..], false)] {
        let script = format!("{script} # {local}");
        let ran = store.build_script(place, &script, "", words);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let told = fs::read_to_string(ran.stdout.trim()).expect("it was built");
        let served: Vec<bool> = told.lines().map(|kind| kind == NFS).collect();
        assert_eq!(served, [!local, !local, true], "{told}");
    }
    store.assert_unchanged();
}

/// A file that a build could have made, in whatever way, as soon as it has begun.
fn plant_set_id(builds: &Path) -> PathBuf {
    let began = Instant::now();
    loop {
        let found = traces::names(builds).into_iter().map(|name| builds.join(name).join("build"));
        if let Some(build) = found.into_iter().find(|build| build.join("ready").exists()) {
            let owner = build.join("ready").metadata().expect("it is there");
            let planted = build.join("planted");
            fs::write(&planted, "").expect("it can be written");
            chown(&planted, Some(owner.uid()), Some(owner.gid())).expect("root gives it away");
            fs::set_permissions(&planted, Permissions::from_mode(0o6755)).expect("root may");
            fs::write(build.join("go"), "").expect("it can be written");
            return planted;
        }
        assert!(began.elapsed() < START, "the build has not begun");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn what_is_kept_of_a_failed_build_is_set_id_for_nobody(place: &Place) {
    let mut store = Store::make(place);
    let mut build = store.script(place, "touch ready; until [ -e go ]; do sleep 0.05; done; exit 1", "");
    let build = build.arg("--keep-failed").stderr(Stdio::piped()).spawn().expect("loopbox can be started");
    let planted = plant_set_id(Path::new("/nix/var/nix/builds"));
    let ran: Ran = build.wait_with_output().expect("it ends").into();
    assert_eq!(ran.status, 100, "{}", ran.stderr);
    let kept = planted.metadata().expect("it was kept");
    assert_eq!(kept.mode() & 0o7777, 0o755);
}
