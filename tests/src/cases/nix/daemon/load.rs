//! Many sessions at once: what each of them gets, and what the daemon takes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::runs::Lent;
use super::{BUILD_USERS, Daemons, begin, signal};
use crate::cases::clean::traces;
use crate::cases::loopbox::Ran;
use crate::cases::nix::store::ran;
use crate::cases::{Place, cases};

cases![
    sixty_four_builds_at_once_are_built,
    a_session_too_many_harms_no_other,
    a_neighbour_that_hammers_its_server_starves_nobody,
];

/// Builds of `builds.nix` that need nothing of each other.
const MANY: usize = 64;

/// The most memory of the daemon's, in KiB, as in [`super::hostile`]: a program of loopbox's size has some 10 MiB.
const MEMORY_MAX: u64 = 40 << 10;

/// How long the builds may take to begin.
const BEGIN: Duration = Duration::from_secs(120);

/// Between two looks at how many run.
const LOOK: Duration = Duration::from_millis(20);

/// Users that Nix allocates: the machine has four build users of its own.
const ALLOCATED: &str =
    "extra-experimental-features = auto-allocate-uids\nauto-allocate-uids = true\nmax-jobs = 64\n";

/// A line of a table of the kernel's (proc_pid_status(5), proc_meminfo(5)), in KiB.
fn size(table: impl AsRef<Path>, line: &str) -> u64 {
    let text = std::fs::read_to_string(table).expect("it is there");
    let size = text.lines().find_map(|of| of.strip_prefix(line)).expect("it has this line");
    size.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

fn available() -> u64 {
    size("/proc/meminfo", "MemAvailable")
}

/// All of them run at the same time: none ends before every one is there.
fn sixty_four_builds_at_once_are_built(place: &Place) {
    let daemons = Daemons::start_with(place, &format!("{BUILD_USERS}{ALLOCATED}"));
    let status = format!("/proc/{}/status", daemons.loopbox.as_ref().expect("it runs").0.id());
    let (before, free) = (size(&status, "VmRSS"), available());
    let words = ["--no-out-link", "-j64"].into_iter().chain(daemons.store.words("many", "load", "null"));
    let began = Instant::now();
    let mut build = daemons.nix("nix-build", &words.collect::<Vec<_>>());
    let mut build = build.spawn().expect("Nix can be started");
    let held = loop {
        let held = traces::all("sleep 1000");
        if held.len() == MANY {
            break held;
        }
        let ended = build.try_wait().expect("it can be waited for").is_some();
        if ended || began.elapsed() > BEGIN {
            let _ = build.kill();
            panic!(
                "{} run: {:?}\n{}",
                held.len(),
                Ran::from(build.wait_with_output().expect("it ends")),
                daemons.logs()
            );
        }
        std::thread::sleep(LOOK);
    };
    let (took, taken) = (began.elapsed().as_secs_f32(), free.saturating_sub(available()));
    assert_eq!(traces::named(traces::ATTENDANT).len(), MANY);
    held.into_iter().for_each(|process| signal(process, Signal::SIGKILL));
    let built: Ran = build.wait_with_output().expect("it ends").into();
    let all = began.elapsed().as_secs_f32();
    assert_eq!(built.status, 0, "{}\n{}", built.stderr, daemons.logs());
    let mut made: Vec<u64> = built.stdout.lines().map(number_in).collect();
    made.sort_unstable();
    assert_eq!(made, (0..MANY as u64).collect::<Vec<_>>());
    assert_eq!(daemons.logs().matches("a session begins").count(), MANY, "{}", daemons.logs());
    daemons.assert_nothing_left();
    let (after, peak) = (size(&status, "VmRSS"), size(&status, "VmHWM"));
    println!(
        "FIGURES: {MANY} builds run after {took:.1} s and are built after {all:.1} s; {} KiB of the machine's memory for \
         each, Nix's part included; the daemon's own: {before} KiB before, {peak} KiB at most, {after} KiB after",
        taken / MANY as u64
    );
    assert!(peak < MEMORY_MAX, "{peak} KiB");
}

fn number_in(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).expect("it was built");
    text.trim().parse().expect("it is its number")
}

/// A session that says that it is there, and then what it is told.
fn echoing(lent: &Lent<'_>) -> Child {
    begin(lent, "echo there; read line; echo told $line > /tmp/told; cat /tmp/told", "there\n")
}

fn a_session_too_many_harms_no_other(place: &Place) {
    for (limit, why) in [
        ("max-sessions", "there are 3 sessions already"),
        ("max-sessions-per-user", "30001 has 3 sessions already"),
    ] {
        let lent = Lent::start_with(place, &format!("{limit} = 3\n"));
        let sessions: Vec<Child> = (0..3).map(|_| echoing(&lent)).collect();
        let one_more =
            || ran(&mut lent.run(&["--with", "/bin/busybox", "--", "/bin/busybox", "echo", "inside"]));
        for _ in 0..10 {
            let refused = one_more();
            assert_eq!((refused.status, refused.stdout.as_str()), (125, ""), "{refused:?}");
            let told = format!("Error: loopbox's daemon refuses: {why}");
            assert!(refused.stderr.contains(&told), "{}", refused.stderr);
        }
        for mut session in sessions {
            session.stdin.take().expect("it is a pipe").write_all(b"a line\n").expect("it reads");
            let ended: Ran = session.wait_with_output().expect("it ends").into();
            assert_eq!((ended.status, ended.stdout.as_str()), (0, "told a line"), "{ended:?}");
        }
        lent.assert_nothing_left();
        // Attendants that have ended are noticed by the next connection.
        assert_eq!(one_more().stdout, "inside");
        lent.assert_nothing_left();
    }
}

/// Files that are looked at, each once: nothing is known of them before.
const FILES: usize = 6000;

/// How long each look takes, in microseconds, one a line.
const LOOKS: &str = "for ((i = 0; i < 6000; i++)); do a=$EPOCHREALTIME; [[ -e /it/$i ]] || exit 1; b=$EPOCHREALTIME; \
    echo $(( ${b/./} - ${a/./} )); done";

/// Eight processes that look for names that nobody has looked for before, until they are told to end.
const HAMMER: &str = "for p in 1 2 3 4 5 6 7 8; do \
    (i=0; while :; do [[ -e /it/$p-$((i++)) ]]; done) & done; echo there; read line; kill $(jobs -p); wait; exit 0";

fn a_neighbour_that_hammers_its_server_starves_nobody(place: &Place) {
    let lent = Lent::start(place);
    let shown = place.directory("shown");
    for number in 0..FILES {
        std::fs::write(shown.join(number.to_string()), "").expect("a file");
    }
    let shown = format!("{}:/it", shown.display());
    let bash = |script| lent.run(&["--with", "bash", "--ro", &shown, "--", "bash", "-c", script]);
    let quiet = || {
        let began = Instant::now();
        let looked = ran(bash(LOOKS).stdout(Stdio::piped()).stderr(Stdio::piped()));
        assert_eq!(looked.status, 0, "{looked:?}");
        let mut times: Vec<u64> = looked.stdout.lines().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(times.len(), FILES);
        times.sort_unstable();
        (times[FILES / 2], times[FILES * 99 / 100], times[FILES - 1], began.elapsed().as_secs_f32())
    };
    let alone = quiet();
    let mut hammer = bash(HAMMER);
    hammer.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hammer = hammer.spawn().expect("loopbox can be started");
    let mut said = [0; 6];
    hammer.stdout.as_mut().expect("it is a pipe").read_exact(&mut said).expect("it runs");
    let beside = quiet();
    hammer.stdin.take().expect("it is a pipe").write_all(b"end\n").expect("it reads");
    let ended: Ran = hammer.wait_with_output().expect("it ends").into();
    assert_eq!(ended.status, 0, "{ended:?}");
    for (with, (median, late, latest, took)) in [("alone", alone), ("beside the hammer", beside)] {
        println!(
            "FIGURES: a cold stat {with}: median {median} us, p99 {late} us, slowest {latest} us; {FILES} in {took:.1} s"
        );
    }
    lent.assert_nothing_left();
}
