//! What loopbox answers to wrong words, wrong files and machines that lack something: the exact text and status.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// Runs loopbox with a state directory of its own; the answer is its status and what it wrote to standard error.
fn loopbox(words: &[&str]) -> String {
    let state = tempfile::tempdir().unwrap();
    told(&command(&state.path().join("state")).args(words).output().unwrap())
}

fn command(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loopbox"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LOOPBOX_STATE_DIR", state);
    command
}

fn told(output: &Output) -> String {
    let status = output.status.code().unwrap();
    format!("{}exit status {status}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn an_unknown_option() {
    insta::assert_snapshot!(loopbox(&["run", "--frobnicate", "--", "true"]), @"
    Error: unexpected argument '--frobnicate' found
    Hint: a similar argument exists: '--ro'
    Hint: usage: loopbox run --ro <SRC[:AT]> -- <CMD>...
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    ");
}

/// What is wrong, and the first hint.
fn answer(words: &[&str]) -> String {
    loopbox(words).lines().take(2).map(|line| format!("{line}\n")).collect()
}

#[test]
fn options_of_nix_are_answered_with_what_does_the_same() {
    insta::assert_snapshot!(answer(&["shell", "--store", "/elsewhere"]), @"
    Error: 'loopbox shell' has no option '--store'
    Hint: the store is the environment's: NIX_STORE_DIR, NIX_STATE_DIR and NIX_LOG_DIR name its directories
    ");
    insta::assert_snapshot!(answer(&["build", "-f", "x.nix"]), @"
    Error: 'loopbox build' has no option '-f'
    Hint: a file needs no option: loopbox build FILE -A ATTR
    ");
    insta::assert_snapshot!(answer(&["compare", "--print-build-logs"]), @"
    Error: 'loopbox compare' has no option '--print-build-logs'
    Hint: 'loopbox build' always shows what builds write; '--no-build-output' leaves it out
    ");
    insta::assert_snapshot!(answer(&["build", "--sandbox"]), @"
    Error: 'loopbox build' has no option '--sandbox'
    Hint: for a setting of Nix, '--option NAME VALUE'; to evaluate with other options, loopbox build $(nix-instantiate …)
    ");
}

#[test]
fn a_command_without_the_dashes_before_it() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/usr", "ls", "-l"]), @"
    Error: 'ls' is not an option of 'loopbox run'
    Hint: the command comes after '--': loopbox run … -- ls …
    Hint: usage: loopbox run [OPTIONS] -- <CMD>...
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    ");
}

#[test]
fn a_user_whom_nobody_can_be() {
    insta::assert_snapshot!(loopbox(&["run", "--uid", "4294967295", "--", "true"]), @"
    Error: invalid value '4294967295' for '--uid <UID>': 4294967295 is not in 0..4294967295
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    ");
}

#[test]
fn names_in_messages_control_no_terminal() {
    insta::assert_snapshot!(answer(&["\u{1b}]0;OWNED\u{7}\u{9b}2J\u{202e}"]), @r"
    Error: unrecognized subcommand '\u{9b}2J\u{202e}'
    Hint: usage: loopbox [OPTIONS] <COMMAND>
    ");
    insta::assert_snapshot!(answer(&["run", "--", "a\u{1b}[2J\nHint: b\u{202e}"]), @r#"
    Error: "a\u{1b}[2J\nHint: b\u{202e}" is in no directory of the PATH in the view
    Hint: this machine has no program of that name in its PATH either
    "#);
    insta::assert_snapshot!(answer(&["run", "--", "/a\u{1b}[2J\nHint: b\u{202e}"]), @r#"
    Error: "/a\u{1b}[2J\nHint: b\u{202e}" does not exist in the view
    Hint: '--with /a\u{1b}[2J\nHint: b\u{202e}' or '--ro /a\u{1b}[2J\nHint: b\u{202e}' shows it, if this machine has it
    "#);
    insta::assert_snapshot!(answer(&["mount", "view\n\u{9d}0;OWNED\u{9c}.json", "/mnt"]), @r#"
    Error: cannot read the view "view\n\u{9d}0;OWNED\u{9c}.json"
    Caused by: No such file or directory (os error 2)
    "#);
}

#[test]
fn limits_and_faults_that_are_none() {
    insta::assert_snapshot!(loopbox(&["run", "--max-bytes", "10Q", "--", "true"]), @r#"
    Error: invalid value '10Q' for '--max-bytes <SIZE>': "10Q" is not a size: a number of bytes, or one with K, M, G or T behind it, which are powers of 1024
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    "#);
    insta::assert_snapshot!(answer(&["run", "--max-bytes=-1", "--", "true"]), @r#"
    Error: invalid value '-1' for '--max-bytes <SIZE>': "-1" is not a size: a number of bytes, or one with K, M, G or T behind it, which are powers of 1024
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    "#);
    insta::assert_snapshot!(answer(&["build", "--max-inodes", "many"]), @"
    Error: invalid value 'many' for '--max-inodes <N>': invalid digit found in string
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    ");
    insta::assert_snapshot!(answer(&["run", "--fault", "op=wrtie,error=EIO", "--", "true"]), @r#"
    Error: invalid value 'op=wrtie,error=EIO' for '--fault <SPEC>': "op=wrtie": there is no such procedure of NFSv3: any, getattr, setattr, lookup, access, readlink, read, write, create, mkdir, symlink, mknod, remove, rmdir, rename, link, readdir, readdirplus, fsstat, fsinfo, pathconf, commit
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    "#);
    insta::assert_snapshot!(answer(&["shell", "--fault", "error=EMFILE"]), @r#"
    Error: invalid value 'error=EMFILE' for '--fault <SPEC>': "error=EMFILE": this is not an error that NFSv3 can carry: EPERM, ENOENT, EIO, ENXIO, EACCES, EEXIST, EXDEV, ENODEV, ENOTDIR, EISDIR, EINVAL, EFBIG, ENOSPC, EROFS, EMLINK, ENAMETOOLONG, ENOTEMPTY, EDQUOT, ESTALE, ENOTSUP, EREMOTEIO, EJUKEBOX
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    "#);
    insta::assert_snapshot!(answer(&["build", "--backend", "hardlink", "--fault", "error=EIO", "x.drv"]), @"
    Error: --fault: the backend 'hardlink' has no server that could do it
    Hint: Leave out --backend.
    ");
    insta::assert_snapshot!(answer(&["run", "--scratch", "local", "--max-inodes", "9", "--", "true"]), @"
    Error: --max-inodes: local scratches have no server that could do it
    Hint: Leave out --scratch.
    ");
    insta::assert_snapshot!(answer(&["build", "--backend", "bind", "--max-bytes", "1M", "x.drv"]), @"
    Error: --max-bytes: the backend 'bind' has no server that could do it
    Hint: Leave out --backend.
    ");
}

#[test]
fn an_unknown_command() {
    insta::assert_snapshot!(loopbox(&["biuld"]), @"
    Error: unrecognized subcommand 'biuld'
    Hint: some similar subcommands exist: 'build-hook', 'build'
    Hint: usage: loopbox [OPTIONS] <COMMAND>
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    ");
}

#[test]
fn no_command() {
    insta::assert_snapshot!(loopbox(&[]), @"
    Error: 'loopbox' requires a subcommand but one was not provided
      [subcommands: run, learn, build, check, shell, compare, setup, daemon, external-builder, build-hook, report, status, mount, unmount, doctor, clean, completions, man]
    Hint: usage: loopbox [OPTIONS] <COMMAND>
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    ");
}

#[test]
fn a_run_of_nothing() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/etc"]), @"
    Error: the following required arguments were not provided:
      <CMD>...
    Hint: usage: loopbox run --ro <SRC[:AT]> --state-dir <DIR> -- <CMD>...
    Hint: 'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one
    exit status 2
    ");
}

#[test]
fn a_relative_place_in_the_view() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/etc:etc", "--", "true"]), @r#"
    Error: view path "etc" is not absolute
    Hint: write an absolute path, as in "$PWD/etc"
    exit status 2
    "#);
}

#[test]
fn a_relative_source() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "src", "--", "true"]), @r#"
    Error: view path "src" is not absolute
    Hint: write an absolute path, as in "$PWD/src"
    exit status 2
    "#);
}

#[test]
fn a_path_with_dots() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/etc/../root", "--", "true"]), @r#"
    Error: view path "/etc/../root" is not normalized: it must not contain '.', '..', '//' or NUL
    exit status 2
    "#);
}

#[test]
fn two_entries_at_one_place() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/etc:/x", "--ro", "/usr:/x", "--", "true"]), @r#"
    Error: two entries are both at "/x"
    Hint: give one of the two another place: SRC:AT
    exit status 2
    "#);
}

#[test]
fn an_entry_below_another() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/usr", "--ro", "/etc:/usr/etc", "--", "true"]), @r#"
    Error: "/usr/etc" lies below "/usr", which is a graft; only a directory or a scratch can hold other entries
    Hint: a directory that is shown as a whole cannot have others put into it
    exit status 2
    "#);
}

#[test]
fn a_source_that_does_not_exist() {
    insta::assert_snapshot!(loopbox(&["run", "--ro", "/does/not/exist", "--", "true"]), @r#"
    Error: the source "/does/not/exist" of the entry at "/does/not/exist" does not exist
    Hint: 'ls -ld /does/not/exist' has to find it on this machine
    exit status 125
    "#);
}

#[test]
fn a_program_that_this_machine_does_not_have() {
    insta::assert_snapshot!(loopbox(&["run", "--with", "absent-program", "--", "true"]), @r#"
    Error: this machine has no program "absent-program" in its PATH
    exit status 125
    "#);
}

#[test]
fn a_program_that_is_not_in_the_view() {
    insta::assert_snapshot!(loopbox(&["run", "--", "git", "--version"]), @r#"
    Error: "git" is in no directory of the PATH in the view
    Hint: '--with git' shows this machine's git with all that it needs
    exit status 127
    "#);
    insta::assert_snapshot!(loopbox(&["run", "--", "/usr/bin/perl"]), @r#"
    Error: "/usr/bin/perl" does not exist in the view
    Hint: '--with /usr/bin/perl' or '--ro /usr/bin/perl' shows it, if this machine has it
    exit status 127
    "#);
}

#[test]
fn a_store_path_that_is_none() {
    insta::assert_snapshot!(loopbox(&["run", "--closure", "/usr/bin", "--", "true"]), @r#"
    Error: "/usr/bin" is not in the store directory "/nix/store"
    exit status 125
    "#);
}

#[test]
fn no_root() {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(own_copy(state.path()))
        .args(["run", "--with", "true", "--", "true"])
        .output()
        .unwrap();
    insta::assert_snapshot!(told(&output), @"
    Error: this needs root: nobody else may mount file systems, or see and change what is root's
    Hint: run it with sudo
    exit status 125
    ");
}

#[test]
fn an_external_builder_that_nix_runs_as_a_build_user() {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(own_copy(state.path()))
        .args(["external-builder", "/bin/sh=/usr/bin/busybox", "build.json"])
        .output()
        .unwrap();
    insta::assert_snapshot!(told(&output), @"
    Error: Nix runs this as the build user 'nobody', who may mount nothing, and loopbox's daemon does not listen
    Hint: 'loopbox daemon', started by root, mounts for build users; 'sudo loopbox build' has build users and needs no external builder
    exit status 125
    ");
}

#[test]
fn no_nfs_client() {
    if fs::read_to_string("/proc/filesystems").unwrap().split_whitespace().any(|word| word == "nfs") {
        // Not eprintln, which the test harness keeps to itself while all goes well.
        std::io::stderr().write_all(b"NOT TESTED: no_nfs_client, for this kernel has one\n").unwrap();
        return;
    }
    insta::assert_snapshot!(loopbox(&["run", "--with", "true", "--", "true"]), @"
    Error: cannot mount the view
    Caused by: this kernel has no client for NFS version 3, or cannot load it
    Caused by: No such device (os error 19)
    Hint: 'modprobe nfsv3' loads the client where the kernel has it as a module; 'loopbox doctor' checks more
    exit status 125
    ");
}

#[test]
fn a_view_file_that_does_not_exist() {
    insta::assert_snapshot!(loopbox(&["mount", "/does/not/exist.json", "/mnt"]), @r#"
    Error: cannot read the view "/does/not/exist.json"
    Caused by: No such file or directory (os error 2)
    exit status 125
    "#);
}

#[test]
fn a_view_file_with_something_else_in_it() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("spec.json"), "{\"entries\": [{\"graft\": {\"at\": \"/x\"}}]}").unwrap();
    let output =
        command(place.path()).current_dir(place.path()).args(["mount", "spec.json", "/mnt"]).output();
    insta::assert_snapshot!(told(&output.unwrap()), @r#"
    Error: "spec.json" does not describe a view
    Caused by: missing field `source` at line 1 column 35
    exit status 125
    "#);
}

#[test]
fn a_busy_mount_point() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("spec.json"), "{\"entries\": []}").unwrap();
    let mut command = command(&place.path().join("state"));
    let output = command.current_dir(place.path()).args(["mount", "spec.json", "/proc"]).output().unwrap();
    insta::assert_snapshot!(told(&output), @r#"
    Error: the mount point "/proc" is busy: something is mounted there already
    Hint: 'loopbox unmount /proc' if it is loopbox's; 'loopbox clean' if loopbox was killed there
    exit status 125
    "#);
}

#[test]
fn a_mount_point_that_does_not_exist() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("spec.json"), "{\"entries\": []}").unwrap();
    let mut command = command(&place.path().join("state"));
    let output =
        command.current_dir(place.path()).args(["mount", "spec.json", "/does/not/exist"]).output().unwrap();
    insta::assert_snapshot!(told(&output), @r#"
    Error: the mount point "/does/not/exist" does not exist
    Hint: make the directory first: mkdir /does/not/exist
    exit status 125
    "#);
}

#[test]
fn an_unmount_of_nothing() {
    insta::assert_snapshot!(loopbox(&["unmount", "/proc"]), @r#"
    Error: nothing of loopbox's is mounted at "/proc"
    Hint: 'grep nfs /proc/mounts' lists what is mounted
    exit status 125
    "#);
}

#[test]
fn a_state_directory_that_everybody_may_write() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let output = command(&state).args(["clean"]).output().unwrap();
    insta::assert_snapshot!(told(&output).replace(&*place.path().to_string_lossy(), "…"), @r#"
    Error: the state directory "…/state" has to belong to root and be writable by nobody else
    Hint: --state-dir names another one
    exit status 125
    "#);
}

/// The build directory may be closed to others.
fn own_copy(directory: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let copy = directory.join("loopbox");
    // By another process: one that another test forks meanwhile would hold the file open for writing, and nobody could execute it.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_loopbox")).arg(&copy).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}
