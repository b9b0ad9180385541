//! A deep report, beside what strace(1) saw of the same run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::report::{self, PLANTED, plant};
use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::place::USER;
use crate::cases::{Place, cases};
use crate::traced::{Comparison, Traced, WORDS};

cases![
    every_path_that_a_compiler_tries_is_reported,
    every_path_that_a_shell_tries_is_reported,
    every_path_that_a_deep_build_tries_is_reported,
];

/// What a compiler and a shell are made of on this machine. What they look for besides is hidden.
const SHOWN: [&str; 7] =
    ["/etc/alternatives", "/usr/bin", "/usr/lib", "/usr/lib64", "/bin", "/lib", "/lib64"];
/// Where the program works in its view.
const WORK: &str = "/src";

/// Runs a script in a view of `work` and of what is in `shown` besides, with and for strace.
pub fn run(place: &Place, work: &Path, shown: &[&str], script: &str) -> (Ran, Comparison) {
    let traces = place.directory("traces");
    std::os::unix::fs::chown(&traces, Some(USER), Some(USER)).expect("root can give it away");
    let file = place.path("traced.json");
    let (report, user) = (format!("--report={}", file.display()), USER.to_string());
    let mut words = vec!["run", &report, "--deep", "--uid", &user];
    words.extend(SHOWN.iter().chain(shown).flat_map(|path| ["--ro", path]));
    let work = format!("{}:{WORK}", work.display());
    let out = format!("{}:/traces", traces.display());
    // In other languages strace itself looks for the words, and nobody sees that.
    words.extend(["--rw", &work, "--rw", &out, "--chdir", WORK, "--env", "LC_ALL=C", "--"]);
    words.extend(WORDS);
    words.extend(["-o", "/traces/trace", "sh", "-c", script]);
    let ran = Loopbox::at(place).run(words);
    let trace =
        fs::read(traces.join("trace")).unwrap_or_else(|_| panic!("nothing was traced: {}", ran.stderr));
    let whole = report::read(&file);
    assert_eq!(whole["undeclaredIncomplete"], false);
    let reported: BTreeSet<PathBuf> = report::undeclared(&whole).into_iter().map(PathBuf::from).collect();
    let trace = String::from_utf8_lossy(&trace);
    let comparison = Traced::parse(&trace).compare(&reported, &[WORK, "/traces"]);
    for name in comparison.untraced.iter().filter_map(|path| path.file_name()?.to_str()) {
        trace.lines().filter(|line| line.contains(name)).for_each(|line| println!("{line}"));
    }
    (ran, comparison)
}

/// What of this machine a traced build is shown, besides what its view has anyway.
pub const SHOWN_TO_BUILDS: &str = "/etc/alternatives /usr/bin /usr/lib /usr/lib64";
/// A directory that a build can walk through only where hidden ones can be.
const MARK: &str = "/planted";
/// The file that strace writes to, in the build's /tmp.
const TRACE: &str = "strace.txt";

/// Builds a script of the machine's shell with `--deep`, and in the build whose outputs are thrown away for strace: the report is of
/// that one too. `attributes` are further ones of the derivation, which is shown the paths of `shown`.
pub fn build(
    place: &Place,
    store: &mut Store,
    attributes: &str,
    shown: &str,
    script: &str,
) -> (Ran, Comparison) {
    plant();
    let file = place.path("traced.json");
    let builder = format!(
        "cat > script <<'END'\n{script}\nEND
        export PATH=/usr/bin LC_ALL=C
        if [ -d {MARK} ]; then {} -o /tmp/{TRACE} sh script; else sh script; fi
        echo > $out",
        WORDS.join(" ")
    );
    let report = format!("--report={}", file.display());
    let mut command = store.script(place, &builder, attributes);
    command.args([&*report, "--deep", "--sandbox-paths", shown]);
    let child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("loopbox can be started");
    let running = thread::spawn(move || child.wait_with_output().expect("it can be waited for"));
    // The file goes with the build's directories, but not its other name, on the same file system.
    let (trace, kept) = (format!("{}.chroot/tmp/{TRACE}", store.derivation), Path::new("/nix/trace"));
    while !running.is_finished() && fs::hard_link(&trace, kept).is_err() {
        thread::sleep(Duration::from_millis(10));
    }
    let ran: Ran = running.join().expect("it was waited for").into();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let deep = &report::read(&file)["deep"];
    assert_eq!((&deep["undeclaredIncomplete"], &deep["outcome"]), (&json!(false), &json!("same")));
    let mut reported: BTreeSet<PathBuf> = report::undeclared(deep).into_iter().map(PathBuf::from).collect();
    // It was asked for before the trace began.
    reported.remove(Path::new(MARK));
    let trace = fs::read(kept).expect("it was traced");
    let comparison =
        Traced::parse(&String::from_utf8_lossy(&trace)).compare(&reported, &["/build", &ran.stdout]);
    (ran, comparison)
}

/// A directory that the program may write to.
fn work(place: &Place) -> PathBuf {
    let work = place.directory("work");
    std::os::unix::fs::chown(&work, Some(USER), Some(USER)).expect("root can give it away");
    work
}

/// What was asked for in vain, after checks of the rest.
fn agreed(comparison: &Comparison) -> Vec<&str> {
    assert!(comparison.unreported.is_empty(), "not reported: {:#?}", comparison.unreported);
    assert!(comparison.untraced.is_empty(), "reported, and nobody asked: {:#?}", comparison.untraced);
    comparison.agreed.iter().filter_map(|path| path.to_str()).collect()
}

/// A header and a library where a compiler looks for them.
const PLANTED_FOR_COMPILERS: [&str; 2] = ["/usr/local/include/planted.h", "/usr/local/lib/libplanted.so"];

fn plant_for_compilers() {
    for file in PLANTED_FOR_COMPILERS.map(Path::new) {
        fs::create_dir_all(file.parent().expect("it is in a directory")).expect("root can make it");
        fs::write(file, "").expect("root can write it");
    }
}

fn every_path_that_a_compiler_tries_is_reported(place: &Place) {
    plant_for_compilers();
    let work = work(place);
    fs::write(work.join("x.c"), "#include <planted.h>\n#include <stddef.h>\nint main(void) { return 0; }\n")
        .expect("it can be written");
    let (ran, comparison) = run(place, &work, &[], "gcc x.c; sed -i 1d x.c; gcc -o x x.c -lplanted; echo $?");
    assert_eq!(ran.stdout, "1", "{}", ran.stderr);
    let agreed = agreed(&comparison);
    for planted in PLANTED_FOR_COMPILERS {
        assert!(agreed.contains(&planted), "{agreed:#?}");
    }
}

fn every_path_that_a_shell_tries_is_reported(place: &Place) {
    plant();
    let work = work(place);
    fs::create_dir(work.join("below")).expect("it can be made");
    std::os::unix::fs::symlink("/planted/lib", work.join("link")).expect("it can be made");
    let script = format!(
        "[ -e {PLANTED} ]; [ -d /usr/share ]; [ -e /usr/share/doc/../../share/common-licenses/GPL ]
        [ -e link/libreadline.so ]; cat /etc/passwd /etc/shadow; cd below; [ -e ../../etc/hostname ]
        ls /planted /opt /root; readlink /etc/mtab; /usr/sbin/nologin; grep -r x /etc; true"
    );
    let (ran, comparison) = run(place, &work, &[], &script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let agreed = agreed(&comparison);
    for tried in [PLANTED, "/usr/share/common-licenses/GPL", "/etc/shadow"] {
        assert!(agreed.contains(&tried), "{agreed:#?}");
    }
    let is_there =
        |path: &&str| Command::new("test").args(["-e", path]).status().is_ok_and(|test| test.success());
    assert!(agreed.iter().all(is_there), "{agreed:#?}");
}

fn every_path_that_a_deep_build_tries_is_reported(place: &Place) {
    plant_for_compilers();
    let script = format!(
        "[ -e {PLANTED} ]; [ -d /opt ]; cat /etc/shadow; /usr/sbin/nologin; ls -R /etc > /dev/null
        echo '#include <planted.h>' > x.c; gcc -c x.c; echo 'int main(void) {{ return 0; }}' > x.c; gcc x.c -lplanted
        ls /planted /root; true"
    );
    let mut store = Store::make(place);
    let (ran, comparison) = build(place, &mut store, "", SHOWN_TO_BUILDS, &script);
    // It was met as a directory, and was itself asked for.
    assert_eq!(comparison.walked, BTreeSet::from(["/opt".into()]));
    let agreed = agreed(&comparison);
    for tried in [PLANTED, "/etc/shadow"].into_iter().chain(PLANTED_FOR_COMPILERS) {
        assert!(agreed.contains(&tried), "{agreed:#?}\n{}", ran.stderr);
    }
}
