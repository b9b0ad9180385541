//! `--fault`: what programs meet of it, by the kernel's client.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    each_error_reaches_the_program_that_makes_the_call,
    a_disk_that_fills_up_is_heard_of_when_the_data_is_sent,
    a_rename_to_another_device_is_a_copy,
    a_source_that_vanishes_is_gone,
    a_delay_takes_as_long_as_it_says,
    what_carries_less_arrives_all_the_same,
    the_same_seed_fails_the_same_calls,
    a_clock_that_jumps_makes_files_of_another_time,
    what_was_injected_is_told_and_is_in_the_report,
    nobody_else_has_the_fault,
    a_build_that_copes_with_a_fault_is_not_registered,
    a_backend_without_a_server_injects_nothing,
];

/// What scripts use.
const PROGRAMS: [&str; 13] =
    ["sh", "cat", "cmp", "chmod", "dd", "ln", "ls", "mkdir", "mv", "readlink", "rm", "stat", "touch"];

fn words(place: &Place, faults: &[&str], script: &str) -> Vec<String> {
    if !place.path("shown").exists() {
        place.directory("shown");
        place.file("shown/file", "contents\n");
        std::os::unix::fs::symlink("file", place.path("shown/link")).expect("a link can be made");
    }
    let shown = format!("{}:/shown", place.path("shown").display());
    let with = PROGRAMS.iter().flat_map(|program| ["--with".into(), (*program).into()]);
    let faults = faults.iter().flat_map(|fault| ["--fault".into(), (*fault).into()]);
    let words = ["run".into()].into_iter().chain(with).chain(["--ro".into(), shown]).chain(faults);
    words.chain(["--", "sh", "-c", script].map(String::from)).collect()
}

/// `loopbox run` of a script with these faults. `/shown/file` is there.
fn shell(place: &Place, faults: &[&str], script: &str) -> Ran {
    Loopbox::at(place).run(words(place, faults, script))
}

fn each_error_reaches_the_program_that_makes_the_call(place: &Place) {
    for (fault, command, said) in [
        ("op=read,path=/shown/file,error=EIO", "cat /shown/file", "Input/output error"),
        ("op=lookup,path=/shown/file,error=EACCES", "cat /shown/file", "Permission denied"),
        ("op=create,path=/tmp/new,error=EDQUOT", "touch /tmp/new", "Disk quota exceeded"),
        ("op=mkdir,path=/tmp/*,error=EROFS", "mkdir /tmp/new", "Read-only file system"),
        ("op=symlink,path=/tmp/*,error=ENAMETOOLONG", "ln -s x /tmp/new", "File name too long"),
        ("op=link,path=/tmp/two,error=EMLINK", "touch /tmp/one; ln /tmp/one /tmp/two", "Too many links"),
        ("op=remove,path=/tmp/one,error=EPERM", "touch /tmp/one; rm -f /tmp/one", "Operation not permitted"),
        (
            "op=setattr,path=/tmp/one,error=EPERM",
            "touch /tmp/one; chmod 600 /tmp/one",
            "Operation not permitted",
        ),
        ("op=rename,path=/tmp/one,error=EIO", "touch /tmp/one; mv /tmp/one /tmp/two", "Input/output error"),
        ("op=readlink,path=/shown/link,error=EIO", "readlink -v /shown/link", "Input/output error"),
    ] {
        let ran = shell(place, &[fault], command);
        assert_ne!(ran.status, 0, "{fault}: {}", ran.told());
        assert!(ran.stderr.contains(said), "{fault}: {}", ran.stderr);
        let told = ran.stderr.lines().last().unwrap_or_default();
        assert!(
            told.starts_with("the command had a fault on purpose in ") && told.ends_with(fault),
            "{told}"
        );
    }
    let listed = ["op=readdir,path=/shown,error=EIO", "op=readdirplus,path=/shown,error=EIO"];
    let ran = shell(place, &listed, "ls /shown");
    assert!(ran.status != 0 && ran.stderr.contains("Input/output error"), "{}", ran.told());
}

fn a_disk_that_fills_up_is_heard_of_when_the_data_is_sent(place: &Place) {
    let script = "dd if=/dev/zero of=/tmp/file bs=64k count=8 conv=fsync && dd if=/dev/zero of=/tmp/more bs=64k count=64 conv=fsync";
    let ran = shell(place, &["op=write,path=/tmp/*,error=ENOSPC,after=1M"], script);
    assert_eq!(ran.status, 1, "{}", ran.told());
    assert!(
        ran.stderr.contains("8+0 records out") && ran.stderr.contains("No space left on device"),
        "{}",
        ran.stderr
    );
    let untold = "exec 3> /tmp/file; echo text >&3; exec 3>&-; exit 0";
    let ran = shell(place, &["op=write,path=/tmp/*,error=EIO"], untold);
    assert_eq!(ran.status, 125, "{}", ran.told());
    let said = "Error: some of what was written was refused on purpose, and the program has not noticed\n\
                Hint: the command had a fault on purpose in 1 call, first at /tmp/file: op=write,path=/tmp/*,error=EIO\n";
    assert_eq!(ran.stderr, said);
}

fn a_rename_to_another_device_is_a_copy(place: &Place) {
    let script = "echo text > /tmp/one; mv /tmp/one /tmp/two && cat /tmp/two && test ! -e /tmp/one";
    let ran = shell(place, &["op=rename,path=/tmp/one,error=EXDEV"], script);
    assert_eq!((ran.status, &*ran.stdout), (0, "text"), "{}", ran.stderr);
}

fn a_source_that_vanishes_is_gone(place: &Place) {
    let gone = shell(place, &["op=lookup,path=/shown/file,error=ENOENT"], "cat /shown/file");
    assert!(gone.status == 1 && gone.stderr.contains("No such file or directory"), "{}", gone.told());
    let stale = ["op=any,path=/shown/file,error=ESTALE"];
    let ran = shell(place, &stale, "cat /shown/file");
    assert!(ran.status == 1 && ran.stderr.contains("Stale file handle"), "{}", ran.told());
}

fn a_delay_takes_as_long_as_it_says(place: &Place) {
    let began = Instant::now();
    let ran = shell(place, &["op=read,path=/shown/file,delay=1500ms"], "cat /shown/file");
    assert_eq!((ran.status, &*ran.stdout), (0, "contents"), "{}", ran.stderr);
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
}

fn what_carries_less_arrives_all_the_same(place: &Place) {
    place.directory("shown");
    let contents: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(place.path("shown/large"), &contents).expect("the host has room");
    place.file("shown/file", "contents\n");
    let faults = ["op=read,short=20K", "op=write,path=/tmp/*,short=10000B"];
    let script = "cat /shown/large > /tmp/copy && cmp /shown/large /tmp/copy && echo same";
    let ran = shell(place, &faults, script);
    assert_eq!((ran.status, &*ran.stdout), (0, "same"), "{}", ran.stderr);
    let calls: Vec<u64> = ran
        .stderr
        .lines()
        .filter_map(|line| {
            line.strip_prefix("the command had a fault on purpose in ")?.split(' ').next()?.parse().ok()
        })
        .collect();
    assert!(calls.len() == 2 && calls[0] >= 15 && calls[1] >= 30, "{}", ran.stderr);
}

fn the_same_seed_fails_the_same_calls(place: &Place) {
    place.directory("shown");
    for number in 0..40 {
        place.file(format!("shown/{number}"), "x");
    }
    place.file("shown/file", "contents\n");
    let script = "n=0; while [ $n -lt 40 ]; do test -e /shown/$n && echo $n; n=$((n+1)); done; exit 0";
    let seen = |seed: u64| {
        let fault = format!("op=lookup,path=/shown/*,error=EACCES,probability=0.5,seed={seed}");
        shell(place, &[&fault], script).stdout
    };
    let one = seen(1);
    assert_eq!(seen(1), one);
    assert_ne!(seen(2), one);
    let lines = one.lines().count();
    assert!((5..35).contains(&lines), "{one}");
}

fn a_clock_that_jumps_makes_files_of_another_time(place: &Place) {
    let script = "cd /tmp; echo > source; echo > product; test source -nt product && echo newer
                  echo > next; mkdir dir; touch -d @1000000 old; stat -c %Y source product next dir old";
    for (jump, newer, ahead) in [("+1h", false, 3600), ("-1h", true, -3600)] {
        let ran = shell(place, &[&format!("op=create,path=/tmp/product,clock={jump}")], script);
        assert_eq!(ran.status, 0, "{}", ran.told());
        assert_eq!(ran.stdout.starts_with("newer\n"), newer, "{}", ran.stdout);
        let times: Vec<i64> = ran.stdout.lines().filter_map(|line| line.parse().ok()).collect();
        let [source, others @ .., old] = &times[..] else { panic!("{}", ran.stdout) };
        let jumped = |time: &i64| (ahead..ahead + 60).contains(&(time - source));
        assert!(others.len() == 3 && others.iter().all(jumped), "{}", ran.stdout);
        assert_eq!(*old, 1_000_000, "what a program sets is what it sees");
        assert!(ran.stderr.contains("in 1 call, first at /tmp/product"), "{}", ran.stderr);
    }
}

fn what_was_injected_is_told_and_is_in_the_report(place: &Place) {
    let (met, unmet) = ("op=read,path=/shown/file,error=EIO,count=1", "op=mknod,error=EIO");
    let report = place.path("report.json");
    let option = format!("--report={}", report.display());
    let mut words = words(place, &[met, unmet], "cat /shown/file; exit 0");
    words.insert(1, option);
    let ran = Loopbox::at(place).run(&words);
    assert_eq!(ran.status, 0, "{}", ran.told());
    assert!(
        ran.stderr.contains(&format!(
            "the command had a fault on purpose in 1 call, first at /shown/file: {met}\n"
        )) && ran
            .stderr
            .contains(&format!("the command made no call that would have had this fault: {unmet}\n")),
        "{}",
        ran.stderr
    );
    let report: Value =
        serde_json::from_slice(&fs::read(report).expect("it was written")).expect("a report is JSON");
    let faults = &report["reports"][0]["imposed"]["faults"];
    assert_eq!(faults[0], serde_json::json!({ "fault": met, "count": 1, "first": "/shown/file" }));
    assert_eq!(faults[1]["count"], 0);
    let plan = Loopbox::at(place).good([&["run".into(), "--dry-run".into()], &words[2..]].concat());
    let plan: Value = serde_json::from_str(&plan).expect("a plan is JSON");
    assert_eq!(plan["conditions"]["faults"], serde_json::json!([met, unmet]));
}

fn nobody_else_has_the_fault(place: &Place) {
    let script = "n=0; while [ $n -lt 30 ]; do echo x > /tmp/$n || exit 3; n=$((n+1)); done; cat /shown/file";
    let begin = |faults: &[&str]| {
        let mut command = Loopbox::at(place).command(words(place, faults, script));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().expect("loopbox can be started")
    };
    let both = [begin(&["error=EIO,after=20"]), begin(&[])];
    let [faulty, other] = both.map(|child| Ran::from(child.wait_with_output().expect("it ends")));
    assert_ne!(faulty.status, 0, "{}", faulty.told());
    assert_eq!((other.status, &*other.stdout), (0, "contents"), "{}", other.stderr);
}

fn a_build_that_copes_with_a_fault_is_not_registered(place: &Place) {
    let mut store = Store::make(place);
    let script = "mkdir $out; mkdir dir || echo coped > $out/file";
    let mut build = |words: &[&str]| store.build_script(place, script, "", words);
    let coped = build(&["--fault", "op=mkdir,path=/build/dir,error=EIO"]);
    assert_eq!(coped.status, 1, "{}", coped.stderr);
    assert!(
        coped.stderr.contains(
            "Caused by: the builder succeeded, though faults were injected; what it made is not registered"
        ) && coped.stderr.contains("in 1 call, first at /build/dir: op=mkdir,path=/build/dir,error=EIO"),
        "{}",
        coped.stderr
    );
    let failed = build(&["--fault", "op=mkdir,path=/nix/store/*,error=ENOSPC"]);
    assert_eq!(failed.status, 100, "{}", failed.stderr);
    assert!(failed.stderr.contains("script had a fault on purpose in 1 call"), "{}", failed.stderr);
    let slow = build(&["--fault", "op=mkdir,path=/build/dir,delay=10ms"]);
    assert_eq!(slow.status, 0, "a delay changes nothing: {}", slow.stderr);
    assert!(!std::path::Path::new(&slow.stdout).join("file").exists());
}

fn a_backend_without_a_server_injects_nothing(place: &Place) {
    let mut words = words(place, &["error=EIO"], "echo ran");
    words.splice(1..1, ["--backend".into(), "bind".into()]);
    let ran = Loopbox::at(place).run(words);
    assert_eq!((ran.status, &*ran.stdout), (2, ""), "{}", ran.stderr);
    assert_eq!(
        ran.stderr,
        "Error: --fault: the backend 'bind' has no server that could do it\nHint: Leave out --backend.\n"
    );
}
