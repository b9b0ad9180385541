//! `--max-bytes` and `--max-inodes`: what programs meet at the limit, by the kernel's client.

use std::fs;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::cases::clean::store::Store;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::cases::{Place, cases};

cases![
    a_file_ends_at_the_limit_and_its_writer_hears_of_it,
    room_that_is_made_can_be_used_again,
    all_writable_places_share_the_limit,
    a_length_that_is_set_counts_as_if_it_were_written,
    a_file_counts_once_by_whatever_names,
    directories_links_and_files_are_made_up_to_the_limit,
    an_archive_is_unpacked_as_far_as_there_is_room,
    what_is_deleted_while_open_counts_until_it_is_closed,
    the_limit_is_what_df_shows,
    what_nobody_was_told_of_fails_the_run_and_says_why,
    a_neighbour_is_not_harmed,
    a_build_that_meets_its_limit_fails_and_one_that_does_not_is_built,
    a_backend_without_a_server_refuses_a_limit,
];

/// What scripts use.
const PROGRAMS: [&str; 14] =
    ["sh", "cat", "cp", "cut", "dd", "df", "fallocate", "ln", "mkdir", "mv", "rm", "stat", "tar", "truncate"];

/// The kernel's words for ENOSPC.
const FULL: &str = "No space left on device";

fn words(place: &Place, limits: &[&str], script: &str) -> Vec<String> {
    let work = place.directory("work");
    let with = PROGRAMS.iter().flat_map(|program| ["--with".into(), (*program).into()]);
    let words =
        ["run".into()].into_iter().chain(with).chain(["--rw".into(), format!("{}:/work", work.display())]);
    let limits = limits.iter().map(|word| (*word).into());
    words.chain(limits).chain(["--", "sh", "-c", script].map(String::from)).collect()
}

/// `loopbox run` of a script, with these limits. `/work` is a writable directory of the host.
fn shell(place: &Place, limits: &[&str], script: &str) -> Ran {
    Loopbox::at(place).run(words(place, limits, script))
}

/// The same, which has to end well.
fn good(place: &Place, limits: &[&str], script: &str) -> Ran {
    let ran = shell(place, limits, script);
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    ran
}

fn a_file_ends_at_the_limit_and_its_writer_hears_of_it(place: &Place) {
    let script = "dd if=/dev/zero of=/tmp/file bs=64k count=64 conv=fsync; echo $?; stat -c %s /tmp/file";
    let ran = good(place, &["--max-bytes", "1M"], script);
    assert_eq!(ran.stdout, "1\n1048576", "{}", ran.stderr);
    assert!(ran.stderr.contains(FULL), "{}", ran.stderr);
    let told = ran.stderr.lines().last().unwrap_or_default();
    assert!(told.starts_with("the command may write 1.00 MiB, which was not enough: "), "{told}");
    assert!(told.ends_with(" failed with ENOSPC. --max-bytes raises the limit."), "{told}");
    let buffered = good(place, &["--max-bytes", "1M"], "cp /dev/zero /tmp/file || echo full");
    assert_eq!(buffered.stdout, "full", "a writer that does not sync hears of it too: {}", buffered.told());
}

fn room_that_is_made_can_be_used_again(place: &Place) {
    let write = "dd if=/dev/zero bs=64k count=15 conv=fsync 2> /dev/null";
    let script = format!(
        "set -e; for name in 1 2 3 4 5; do {write} of=/tmp/$name; rm /tmp/$name; done
         {write} of=/tmp/short; truncate -s 0 /tmp/short; {write} of=/tmp/new; mv /tmp/new /tmp/short
         ! {write} of=/tmp/more; rm /tmp/more /tmp/short; {write} of=/tmp/last; echo done"
    );
    assert_eq!(good(place, &["--max-bytes", "1M"], &script).stdout, "done");
}

fn all_writable_places_share_the_limit(place: &Place) {
    let script = "dd if=/dev/zero of=/tmp/one bs=64k count=8 conv=fsync 2> /dev/null && \
                  dd if=/dev/zero of=/work/two bs=64k count=16 conv=fsync; echo $?";
    let ran = good(place, &["--max-bytes", "1M"], script);
    assert_eq!(ran.stdout, "1", "{}", ran.stderr);
    assert!(ran.stderr.contains(FULL), "{}", ran.stderr);
    assert_eq!(fs::metadata(place.path("work/two")).expect("it is the host's").len(), 524_288);
}

fn a_length_that_is_set_counts_as_if_it_were_written(place: &Place) {
    let script = "truncate -s 2M /tmp/sparse && echo grown; fallocate -l 2M /tmp/allocated && echo allocated
                  truncate -s 512K /tmp/sparse && stat -c %s /tmp/sparse
                  dd if=/dev/zero of=/tmp/sparse bs=4k count=1 seek=1000 conv=fsync 2> /dev/null || echo refused
                  stat -c %s /tmp/sparse";
    let ran = good(place, &["--max-bytes", "1M"], script);
    assert_eq!(ran.stdout, "524288\nrefused\n524288", "{}", ran.stderr);
    assert!(ran.stderr.contains(FULL), "{}", ran.stderr);
}

fn a_file_counts_once_by_whatever_names(place: &Place) {
    let script = "set -e; dd if=/dev/zero of=/tmp/0 bs=64k count=8 conv=fsync 2> /dev/null
                  for name in 1 2 3 4 5 6 7 8; do ln /tmp/0 /tmp/$name; done
                  rm /tmp/0 /tmp/1; dd if=/dev/zero of=/tmp/a bs=64k count=8 conv=fsync 2> /dev/null || echo full
                  rm /tmp/? && dd if=/dev/zero of=/tmp/b bs=64k count=15 conv=fsync 2> /dev/null && echo room";
    assert_eq!(good(place, &["--max-bytes", "1000K"], script).stdout, "full\nroom");
}

fn directories_links_and_files_are_made_up_to_the_limit(place: &Place) {
    let script = "cd /tmp; count=0; : > /work/said
                  while mkdir $count 2> /work/said; do count=$((count+1)); done; echo $count; cat /work/said
                  ln -s x link 2> /dev/null || echo no link; true 2> /dev/null > file || echo no file
                  rm -r 0 1; true > file && ln -s x link && echo room";
    let ran = good(place, &["--max-inodes", "100"], script);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    // One is the file of what mkdir says.
    assert_eq!((lines[0], &lines[2..]), ("99", &["no link", "no file", "room"][..]), "{}", ran.stdout);
    assert!(lines[1].contains(FULL), "{}", ran.stdout);
    assert!(ran.stderr.contains("the command may make 100 files, which was not enough: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("--max-inodes raises the limit."), "{}", ran.stderr);
}

fn an_archive_is_unpacked_as_far_as_there_is_room(place: &Place) {
    let directory = place.directory("work/tree");
    for number in 0..300 {
        fs::write(directory.join(number.to_string()), vec![b'x'; 20_000]).expect("the host has room");
    }
    let script = "cd /work && tar cf tree.tar tree && cd /tmp && tar xf /work/tree.tar && exit 3
                  set -- /tmp/tree/*; test $# -gt 10 && test $# -lt 300 && exit 4";
    let ran = shell(place, &["--max-bytes", "8M"], script);
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains(FULL), "{}", ran.stderr);
}

fn what_is_deleted_while_open_counts_until_it_is_closed(place: &Place) {
    let write = "dd if=/dev/zero bs=64k count=12 conv=fsync 2> /dev/null";
    let script = format!(
        "cd /tmp; {write} of=open; exec 3< open; rm open; {write} of=more && echo room || echo full; rm more
         exec 3<&-; {write} of=more && echo room || echo full"
    );
    assert_eq!(good(place, &["--max-bytes", "1M"], &script).stdout, "full\nroom");
}

fn the_limit_is_what_df_shows(place: &Place) {
    let script = "dd if=/dev/zero of=/tmp/file bs=1M count=3 conv=fsync 2> /dev/null; mkdir /tmp/directory
                  df -k --output=size,avail /tmp | cat; df --output=itotal,iavail /tmp | cat";
    let ran = good(place, &["--max-bytes", "10M", "--max-inodes", "50"], script);
    let numbers: Vec<u64> = ran.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // The directory has a block too.
    assert_eq!(numbers, [10 * 1024, 7 * 1024 - 4, 50, 48], "{}", ran.stdout);
}

/// A shell does not look at what close(2) says of a file that a command wrote to.
fn what_nobody_was_told_of_fails_the_run_and_says_why(place: &Place) {
    let script = "text=$(dd if=/dev/zero bs=64k count=32 2> /dev/null | tr '\\0' x); echo \"$text\" > /tmp/file; exit 0";
    let ran = shell(place, &["--with", "tr", "--max-bytes", "1M"], script);
    assert_eq!(ran.status, 125, "{}", ran.told());
    let said = "Error: some of what was written was refused on purpose, and the program has not noticed\n\
                Hint: the command may write 1.00 MiB, which was not enough: ";
    assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
}

fn a_neighbour_is_not_harmed(place: &Place) {
    // Each writes into its own directory, for as long as the other does.
    let neighbour = "for round in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/tmp/$round bs=1M count=4 conv=fsync 2> /dev/null || exit 3; done; echo well";
    let greedy = "for round in 1 2 3 4 5 6 7 8; do dd if=/dev/zero of=/tmp/$round bs=1M count=4 conv=fsync 2> /dev/null && exit 3; done; echo full";
    let begin = |limits: &[&str], script| -> Child {
        let mut command = Loopbox::at(place).command(words(place, limits, script));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("loopbox can be started")
    };
    let both = [begin(&["--max-bytes", "1M"], greedy), begin(&["--max-bytes", "40M"], neighbour)];
    let [greedy, neighbour] = both.map(|child| Ran::from(child.wait_with_output().expect("it ends")));
    assert_eq!((greedy.status, &*greedy.stdout), (0, "full"), "{}", greedy.stderr);
    assert_eq!((neighbour.status, &*neighbour.stdout), (0, "well"), "{}", neighbour.stderr);
    assert!(!neighbour.stderr.contains("not enough"), "{}", neighbour.stderr);
}

fn a_build_that_meets_its_limit_fails_and_one_that_does_not_is_built(place: &Place) {
    let mut store = Store::make(place);
    let outputs = "outputs = [ \"out\" \"dev\" ];";
    let mut build = |kib: u64, words: &[&str]| {
        let script = format!(
            "dd if=/dev/zero of=$out bs=1k count={kib} && dd if=/dev/zero of=$dev bs=1k count={kib} \
             && dd if=/dev/zero of=file bs=1k count={kib} && dd if=/dev/zero of=/tmp/file bs=1k count={kib}"
        );
        store.build_script(place, &script, outputs, words)
    };
    let small = build(200, &["--max-bytes", "1M"]);
    assert_eq!(small.status, 0, "{}", small.stderr);
    let large = build(300, &["--max-bytes", "1M", "--json"]);
    assert_eq!(large.status, 100, "{}", large.stderr);
    assert!(large.stderr.contains("script may write 1.00 MiB, which was not enough: "), "{}", large.stderr);
    let answer: Value = serde_json::from_str(&large.stdout).expect("it is JSON");
    assert!(answer["derivations"][0]["imposed"]["quota"]["bytesRefused"].as_u64() > Some(0), "{answer}");
    let plan = build(300, &["--max-bytes", "1M", "--dry-run"]);
    let plan: Value = serde_json::from_str(&plan.stdout).expect("it is JSON");
    assert_eq!(plan["conditions"]["quota"]["bytes"], 1 << 20, "{plan}");
    let raised = build(300, &["--max-bytes", "2M"]);
    assert_eq!(raised.status, 0, "{}", raised.stderr);
    // It does not look at what close(2) says.
    let untold = store.build_script(place, "seq 1 200000 > $out", "", &["--max-bytes", "1M"]);
    assert_eq!(untold.status, 1, "{}", untold.stderr);
    let said = "Caused by: some of what the builder wrote was refused on purpose, and it has not noticed\n\
                Hint: the build may write 1.00 MiB, which was not enough: ";
    assert!(untold.stderr.contains(said), "{}", untold.stderr);
}

fn a_backend_without_a_server_refuses_a_limit(place: &Place) {
    for backend in ["bind", "hardlink"] {
        let ran = shell(place, &["--backend", backend, "--max-bytes", "1M"], "echo ran");
        assert_eq!((ran.status, &*ran.stdout), (2, ""), "{}", ran.stderr);
        let said = format!(
            "Error: --max-bytes: the backend '{backend}' has no server that could do it\n\
             Hint: Leave out --backend.\n"
        );
        assert_eq!(ran.stderr, said);
    }
}
