//! What a person does on the host while `loopbox run` shows it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![what_is_done_on_the_host_is_seen_in_what_is_shown_read_only,];

/// Looks at everything, reads a line, and then looks until it is as it has to be, or for ten seconds.
const PROGRAM: &str =
    "cat /shown/edited /shown/replaced /shown/gone; ls /shown; [ -e /shown/added ] || echo none
    read line
    for try in 1 2 3 4 5 6 7 8 9 10; do
        seen=$(cat /shown/edited /shown/replaced; ls /shown; cat /shown/added)
        [ \"$seen\" = \"$1\" ] && echo seen && exit
        sleep 1
    done
    echo $seen";

fn what_is_done_on_the_host_is_seen_in_what_is_shown_read_only(place: &Place) {
    place.directory("shown");
    for name in ["edited", "replaced", "gone"] {
        place.file(format!("shown/{name}"), "old\n");
    }
    let shown = format!("{}:/shown", place.path("shown").display());
    let mut words = vec!["run", "--ro", &shown];
    for program in ["sh", "cat", "ls", "sleep"] {
        words.extend(["--with", program]);
    }
    words.extend(["--", "sh", "-c", PROGRAM, "sh", "new\nnew\nadded\nedited\nreplaced\nnew"]);
    let mut child = Loopbox::at(place)
        .command(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("loopbox can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
    let mut hear = || lines.next().map(|line| line.expect("it can be read"));
    let looked: Vec<String> = (0..7).map_while(|_| hear()).collect();
    assert_eq!(looked, ["old", "old", "old", "edited", "gone", "replaced", "none"]);

    place.file("shown/edited", "new\n");
    fs::rename(place.file("next", "new\n"), place.path("shown/replaced")).expect("it can be replaced");
    fs::remove_file(place.path("shown/gone")).expect("it can be removed");
    place.file("shown/added", "new\n");
    child.stdin.take().expect("it is a pipe").write_all(b"go\n").expect("the program reads it");
    assert_eq!(hear().as_deref(), Some("seen"));
    assert!(child.wait().expect("it can be waited for").success());
}
