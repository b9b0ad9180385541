//! Whole programs: execution from the mount, tar, git, find, cp.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};

use nix::errno::Errno;

use crate::cases::place::{USER, errno};
use crate::cases::{Place, cases};

cases![
    a_program_runs_from_here,
    a_script_runs_from_here,
    a_busy_program_can_be_replaced,
    a_running_program_is_not_written,
    an_open_program_is_not_run,
    a_removed_program_runs_on,
    a_program_needs_the_bit,
    a_program_that_nobody_may_read_runs,
    an_interpreter_is_run_from_here,
    a_library_is_loaded_from_here,
    tar_brings_a_tree_through_unchanged,
    git_keeps_a_history,
    a_tree_is_copied_with_its_attributes,
];

fn a_program_runs_from_here(place: &Place) {
    assert_eq!(place.shell("cp /bin/busybox . && ./busybox echo it runs"), "it runs");
}

fn a_script_runs_from_here(place: &Place) {
    place.file("script", "#!/bin/sh\necho \"$0 $1\"\n");
    assert_eq!(place.shell("chmod +x script && ./script word"), "./script word");
}

fn a_busy_program_can_be_replaced(place: &Place) {
    place.shell(
        "mkdir new && cp /bin/busybox . && cp /bin/busybox new
         ./busybox sleep 60 & child=$!
         mv new/busybox . && ./busybox true && kill $child",
    );
}

fn a_running_program_is_not_written(place: &Place) {
    place.shell("cp /bin/busybox .");
    let program = place.path("busybox");
    let mut running = Command::new(&program).args(["sleep", "60"]).spawn().expect("it can be started");
    let opened = OpenOptions::new().write(true).open(&program);
    running.kill().and_then(|()| running.wait()).expect("it can be killed");
    assert_eq!(errno(opened), Errno::ETXTBSY);
    OpenOptions::new().write(true).open(&program).expect("nobody runs it any more");
}

fn an_open_program_is_not_run(place: &Place) {
    place.shell("cp /bin/busybox .");
    let program = place.path("busybox");
    let writer = OpenOptions::new().append(true).open(&program).expect("open");
    assert_eq!(errno(Command::new(&program).arg("true").status()), Errno::ETXTBSY);
    drop(writer);
    assert!(Command::new(&program).arg("true").status().expect("it can be started").success());
}

fn a_removed_program_runs_on(place: &Place) {
    place.shell("cp /bin/busybox . && sync busybox");
    let mut running = Command::new(place.path("busybox"))
        .args(["sh", "-c", "read word; echo $word $((6 * 7))"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    fs::remove_file(place.path("busybox")).expect("unlink");
    // Its pages come from the server again.
    fs::write("/proc/sys/vm/drop_caches", "1").expect("caches can be dropped");
    running.stdin.take().expect("a pipe").write_all(b"word\n").expect("write");
    let output = running.wait_with_output().expect("it ends");
    assert_eq!(output.stdout, b"word 42\n");
}

fn a_program_needs_the_bit(place: &Place) {
    place.shell("cp /bin/busybox . && chmod 644 busybox && echo exit > script && mkdir d");
    for name in ["busybox", "script", "d"] {
        assert_eq!(errno(Command::new(place.path(name)).status()), Errno::EACCES, "{name}");
    }
    place.shell("chmod 755 script");
    // Executable, and nothing that the kernel knows how to run.
    assert_eq!(errno(Command::new(place.path("script")).status()), Errno::ENOEXEC);
    place.shell("chmod 700 busybox");
    assert!(!user(place, "./busybox true"));
}

fn a_program_that_nobody_may_read_runs(place: &Place) {
    place.shell("cp /bin/busybox . && chmod 711 busybox");
    assert!(user(place, "./busybox true"));
    assert!(!user(place, "cat busybox"));
}

/// A script as the build user.
fn user(place: &Place, script: &str) -> bool {
    let words = format!("setpriv --reuid {USER} --regid {USER} --clear-groups sh -ec '{script}'");
    place.try_shell(&words).status.success()
}

fn an_interpreter_is_run_from_here(place: &Place) {
    place.shell("cp /bin/busybox sh && mkdir bin && mv sh bin/sh");
    let interpreter = place.path("bin/sh");
    place.file("script", format!("#!{} -e\necho $0 $#\n", interpreter.display()));
    let script = place.path("script");
    assert_eq!(place.shell("chmod +x script && ./script a b"), "./script 2");
    place.link("link", &script);
    assert_eq!(place.shell("./link"), "./link 0");
}

fn a_library_is_loaded_from_here(place: &Place) {
    place.shell(
        "for library in $(ldd /bin/ls | grep -o '/[^ ]*/lib[^ ]*'); do cp $library .; done
         touch seen && LD_LIBRARY_PATH=$PWD /bin/ls > names && grep -q '^seen$' names
         test -n \"$(LD_LIBRARY_PATH=$PWD ldd /bin/ls | grep -F $PWD/libc.so)\"",
    );
}

fn tar_brings_a_tree_through_unchanged(place: &Place) {
    place.shell(
        "mkdir -p in/a/b out && echo one > in/a/one && ln in/a/one in/a/b/two && ln -s ../one in/a/b/link
         mkfifo in/fifo && chmod 600 in/a/one && touch -d '2001-02-03 04:05:06' in/a/b
         tar cf tree.tar --format=posix -C in . && tar xpf tree.tar -C out
         list() { (cd $1 && find . -printf '%p %m %y %l %n %T@\\n' | sed 's/\\(fifo.*\\) .*/\\1/' | sort); }
         list in > before && list out > after && diff before after && cmp in/a/one out/a/b/two",
    );
}

fn git_keeps_a_history(place: &Place) {
    place.shell(
        "export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
         git init -q work && cd work && git config user.email a@b && git config user.name name
         for i in 1 2 3 4 5; do echo $i > file$i && git add . && git commit -q -m $i; done
         git fsck --strict && git gc -q && cd .. && git clone -q work copy && cd copy && git fsck
         test \"$(git log --oneline | wc -l)\" = 5 && test -z \"$(git status --porcelain)\"",
    );
}

fn a_tree_is_copied_with_its_attributes(place: &Place) {
    place.shell(
        "mkdir -p tree/x && echo data > tree/x/f && chmod 741 tree/x/f && touch -d @86400.5 tree/x/f
         cp -a tree copy && test \"$(stat -c '%a %Y %s' tree/x/f)\" = \"$(stat -c '%a %Y %s' copy/x/f)\"
         diff -r tree copy && mv copy moved && rm -rf tree moved",
    );
    assert!(place.names("").is_empty());
}
