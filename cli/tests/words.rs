//! What loopbox says when all is well: help, completions, manual pages, plans, findings.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::process::{Command, Stdio};

fn loopbox(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_loopbox")).args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_lists_every_command_and_the_exit_codes() {
    let help = loopbox(&["--help"]);
    for word in [
        "run",
        "build",
        "shell",
        "mount",
        "unmount",
        "clean",
        "report",
        "doctor",
        "completions",
        "man",
        "125",
    ] {
        assert!(help.contains(word), "{word} is missing");
    }
    assert!(!help.contains("__jail"), "the hidden word shows");
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(loopbox(&["completions", shell]).contains("loopbox"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let place = tempfile::tempdir().unwrap();
    loopbox(&["man", place.path().to_str().unwrap()]);
    for page in ["loopbox.1", "loopbox-run.1", "loopbox-build.1", "loopbox-shell.1", "loopbox-doctor.1"] {
        assert!(place.path().join(page).exists(), "{page} is missing");
    }
}

#[test]
fn a_plan_shows_the_view_and_the_jail_and_needs_no_root() {
    let text = loopbox(&["run", "--dry-run", "--ro", "/etc/hostname:/h", "--uid", "7", "--", "/bin/x", "y"]);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = plan["view"]["entries"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["graft"]["at"] == "/h" && entry["graft"]["access"] == "ro"));
    assert_eq!(plan["jail"]["argv"], serde_json::json!(["/bin/x", "y"]));
    assert_eq!(plan["jail"]["user"]["uid"], 7);
    let server = serde_json::json!({ "user": { "uid": 7, "gid": 7, "groups": [] }, "capabilities": [] });
    assert_eq!(plan["server"], server);
}

#[test]
fn a_plan_has_the_limits_and_faults_that_were_asked_for() {
    let plan = |words: &[&str]| {
        let text = loopbox(&[&["run", "--dry-run"], words, &["--", "true"]].concat());
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let faulty = plan(&["--fault", "error=EIO,path=/tmp/**", "--fault", "op=read,delay=1000ms"]);
    let faults = serde_json::json!(["op=any,path=/tmp/**,error=EIO", "op=read,delay=1s"]);
    assert_eq!(faulty["conditions"]["faults"], faults);
    let limited = plan(&["--max-bytes", "1.5G", "--max-inodes", "20"]);
    let quota = serde_json::json!({ "bytes": 3_u64 << 29, "inodes": 20 });
    assert_eq!(limited["conditions"]["quota"], quota);
    assert_eq!(plan(&[]).get("conditions"), None, "without any, nothing is said of them");
}

#[test]
fn limits_are_explained_where_they_can_be_set() {
    for command in ["run", "build", "shell", "external-builder", "build-hook"] {
        // It is as wide as the terminal.
        let help = loopbox(&[command, "--help"]).split_whitespace().collect::<Vec<_>>().join(" ");
        for explained in [
            "--max-bytes <SIZE> The most bytes that may be written in all writable places together, as in 500M; more fails with ENOSPC",
            "--max-inodes <N> The most files, directories and links that may be made there",
        ] {
            assert!(help.contains(explained), "{command}: {help}");
        }
    }
}

#[test]
fn what_the_caller_shows_takes_the_place_of_the_defaults() {
    let text = loopbox(&["run", "--dry-run", "--ro", "/etc", "--tmpfs", "/tmp", "--", "true"]);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = plan["view"]["entries"].as_array().unwrap();
    let places: Vec<&str> =
        entries.iter().filter_map(|entry| entry.as_object()?.values().next()?["at"].as_str()).collect();
    assert!(!places.contains(&"/etc/passwd"));
    assert_eq!(places.iter().filter(|place| **place == "/tmp").count(), 1);
}

#[test]
fn the_doctor_s_findings_are_json() {
    let output = Command::new(env!("CARGO_BIN_EXE_loopbox")).args(["doctor", "--json"]).output().unwrap();
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = findings.as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["subject"] == "NFS client"));
    let bad = findings.iter().any(|finding| finding["state"] == "bad");
    assert_eq!(output.status.code(), Some(i32::from(bad)));
    for finding in findings.iter().filter(|finding| finding["state"] != "good") {
        assert!(finding["advice"].is_string(), "{finding}");
    }
}

#[test]
fn an_error_that_nobody_can_be_told_ends_as_any_other() {
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    for stderr in [Stdio::from(closed), Stdio::from(full)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loopbox"));
        let status = command.arg("no-such-command").stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(2));
    }
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_loopbox"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn reports_are_compared() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, found: &str| {
        let report = serde_json::json!({
            "command": ["true"], "undeclared": [{ "path": found, "owner": null }], "undeclaredIncomplete": false,
            "missing": 0, "refused": { "paths": [], "incomplete": false }, "entries": [], "hostFiles": [],
            "hostFilesLeftOut": 0, "nfsCalls": {}, "seconds": { "setup": 0.1, "run": 0.2, "teardown": 0.3 },
        });
        let path = place.path().join(name);
        std::fs::write(
            &path,
            serde_json::json!({ "version": 1, "loopbox": "1", "reports": [report] }).to_string(),
        )
        .unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (one, other) = (file("one", "/usr"), file("other", "/opt"));
    assert_eq!(loopbox(&["report", "diff", &one, &one]), "");
    let mut diff = Command::new(env!("CARGO_BIN_EXE_loopbox"));
    let output = diff.args(["report", "diff", &one, &other]).output().unwrap();
    assert_eq!(output.status.code(), Some(104));
    let expected = "true:
  asked for and not in the view, only in the first: /usr
  asked for and not in the view, only in the second: /opt
";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_deep_plan_has_the_directories_of_this_machine() {
    let text = loopbox(&["run", "--dry-run", "--report", "--deep", "--ro", "/etc/hostname", "--", "true"]);
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries = plan["view"]["entries"].as_array().unwrap();
    let phantom = |entry: &serde_json::Value| entry["graft"]["access"] == "phantom";
    let places: Vec<&str> = entries
        .iter()
        .filter(|entry| phantom(entry))
        .filter_map(|entry| entry["graft"]["at"].as_str())
        .collect();
    assert!(places.contains(&"/") && places.contains(&"/etc"), "{places:?}");
}
