//! Inputs that a build did without: each of those is named, and none that it used.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cases::clean::store::Store;
use crate::cases::{Place, cases};

cases![inputs_that_were_not_used_are_named_and_no_others];

/// Inputs, each with a file, a program, a link and a directory in it.
const INPUTS: [&str; 4] = ["a", "b", "c", "d"];

/// What twenty builders do, and which inputs they use by that. What an output refers to is used too.
const BUILDERS: [(&str, &str); 20] = [
    ("echo > $out", ""),
    ("cat $a/file > $out", "a"),
    ("cat $a/file $b/file > $out", "ab"),
    ("cat $a/file $b/file $c/file $d/file > $out", "abcd"),
    ("$a/program > $out", "a"),
    ("[ -e $b/file ]; echo > $out", "b"),
    ("[ ! -e $b/missing ]; echo > $out", ""),
    ("busybox ls $c > $out", "c"),
    ("busybox ls $c/directory > $out", "c"),
    ("busybox readlink $d/link > $out", "d"),
    ("cat $d/link > $out", "d"),
    ("cd $a; cd /; echo > $out", ""),
    ("cp $a/file $out", "a"),
    ("cp -r $b/directory $out", "b"),
    ("ln -s $c/file $out", "c"),
    ("echo $d > $out", "d"),
    ("echo $a > $out; cat $b/file > /dev/null", "ab"),
    ("busybox stat $c/program > /dev/null; echo > $out", "c"),
    ("for input in $a $d; do cat $input/file; done > $out", "ad"),
    ("busybox find $b $c -type f | busybox xargs cat > $out", "bc"),
];

fn inputs_that_were_not_used_are_named_and_no_others(place: &Place) {
    let mut store = Store::make(place);
    let mut attributes = String::new();
    for name in INPUTS {
        place.directory(format!("{name}/directory"));
        place.file(format!("{name}/file"), name);
        place.file(format!("{name}/directory/file"), name);
        place.file(format!("{name}/program"), format!("#!/bin/sh\necho {name}\n"));
        place.link(format!("{name}/link"), "file");
        place.shell(&format!("chmod +x {name}/program"));
        let path = store.ask("nix-store", ["--add", &place.path(name).to_string_lossy()]);
        attributes += &format!("{name} = \"${{builtins.storePath {path}}}\"; ");
    }
    let file = place.path("report.json");
    let words = [format!("--report={}", file.display())];
    let shell = "--sandbox-paths";
    for (script, used) in BUILDERS {
        let ran = store.build_script(place, script, &attributes, &[&words[0], shell, "/bin/sh=/bin/busybox"]);
        assert_eq!(ran.status, 0, "{script}: {}", ran.stderr);
        let text = std::fs::read(&file).expect("a report was written");
        let report: Value = serde_json::from_slice(&text).expect("it is JSON");
        let unused = report["reports"][0]["unusedInputs"].as_array().expect("there is a list");
        let removable = unused.iter().filter(|input| input["removable"] == true);
        let name = |input: &Value| input["path"].as_str()?.rsplit('-').next().map(str::to_owned);
        let found: BTreeSet<String> = removable.filter_map(name).collect();
        let expected = INPUTS.iter().filter(|name| !used.contains(**name));
        assert_eq!(found, expected.map(|name| (*name).to_owned()).collect(), "{script}: {unused:#?}");
    }
}
