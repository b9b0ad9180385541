//! What this machine's own programs need, and what a view lacks of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, View, ViewSpec};
use sandbox::program::{self, ProgramError, ShowError};

#[test]
fn a_shell_comes_with_its_loader_its_library_and_the_links_between() {
    let view = view_of(program::entries(Path::new("/bin/sh")).unwrap());
    assert_eq!(check(&view, "/bin/sh"), Ok(()));
    assert!(view.find(Path::new("/lib64/ld-linux-x86-64.so.2")).is_ok());
    assert!(view.find(Path::new("/etc/passwd")).is_err());
}

#[test]
fn programs_with_many_libraries_are_complete() {
    for program in ["/usr/bin/git", "/usr/bin/perl", "/usr/bin/bash", "/usr/bin/env"] {
        if Path::new(program).exists() {
            assert_eq!(
                check(&view_of(program::entries(Path::new(program)).unwrap()), program),
                Ok(()),
                "{program}"
            );
        }
    }
}

#[test]
fn the_files_found_are_those_that_the_loader_itself_would_map() {
    let listed = std::process::Command::new("ldd").arg("/usr/bin/perl").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let view = view_of(program::entries(Path::new("/usr/bin/perl")).unwrap());
    let paths: Vec<&str> = listed.split_whitespace().filter(|word| word.starts_with('/')).collect();
    assert!(!paths.is_empty());
    for path in paths {
        assert!(view.find(Path::new(path)).is_ok(), "{path} is missing");
    }
}

#[test]
fn a_script_comes_with_its_interpreter() {
    let place = tempfile::tempdir().unwrap();
    let script = write(place.path(), "script", "#!/usr/bin/perl -w\nprint 1;\n", 0o755);
    let view = view_of(program::entries(&script).unwrap());
    assert!(view.find(Path::new("/usr/bin/perl")).is_ok());
    assert_eq!(program::check(&view, &script, vec![], vec![]), Ok(()));
}

#[test]
fn a_script_through_env_comes_with_env_and_what_it_looks_up() {
    let place = tempfile::tempdir().unwrap();
    let script = write(place.path(), "script", "#!/usr/bin/env perl\n", 0o755);
    let view = view_of(program::entries(&script).unwrap());
    assert!(view.find(Path::new("/usr/bin/env")).is_ok());
    assert_eq!(program::check(&view, &script, vec!["/usr/bin".into()], vec![]), Ok(()));
    assert_eq!(
        program::check(&view, &script, vec!["/absent".into()], vec![]),
        Err(ProgramError::Interpreter { script, interpreter: "perl".into() })
    );
}

#[test]
fn a_missing_loader_is_named() {
    let view = view_of(vec![graft("/usr/bin/perl")]);
    insta::assert_snapshot!(check(&view, "/usr/bin/perl").unwrap_err(), @r#"the loader "/lib64/ld-linux-x86-64.so.2" of "/usr/bin/perl" does not exist there"#);
}

#[test]
fn a_directory_is_no_program() {
    let view = view_of(vec![graft("/usr/bin")]);
    insta::assert_snapshot!(check(&view, "/usr/bin").unwrap_err(), @r#""/usr/bin" is not a regular file"#);
    insta::assert_snapshot!(check(&view, "/usr/lib").unwrap_err(), @r#""/usr/lib" does not exist there"#);
}

#[test]
fn a_missing_library_is_named() {
    let mut entries = program::entries(Path::new("/usr/bin/perl")).unwrap();
    entries.retain(|entry| !entry.at().to_string_lossy().contains("libcrypt"));
    insta::assert_snapshot!(check(&view_of(entries), "/usr/bin/perl").unwrap_err(), @r#"the library "libcrypt.so.1" that "/usr/bin/perl" needs is in no directory that its loader searches there"#);
}

#[test]
fn a_missing_interpreter_is_named() {
    let place = tempfile::tempdir().unwrap();
    write(place.path(), "script", "#!/opt/bin/perl\n", 0o755);
    let source = place.path().join("script");
    let view = view_of(vec![Entry::Graft { at: "/s".into(), source, access: Access::Ro, optional: false }]);
    insta::assert_snapshot!(check(&view, "/s").unwrap_err(), @r#"the interpreter "/opt/bin/perl" of the script "/s" does not exist there"#);
}

#[test]
fn files_that_are_no_programs_are_named_as_such() {
    let place = tempfile::tempdir().unwrap();
    let text = write(place.path(), "text", "hello", 0o755);
    let closed = write(place.path(), "closed", "#!/bin/sh\n", 0o644);
    let cut = write(place.path(), "cut", "\x7fELF\x02\x01\x01", 0o755);
    let problem = |path: &Path| match program::entries(path) {
        Err(ShowError::Incomplete { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(&text), ProgramError::NotProgram { path: text.clone() });
    assert_eq!(problem(&closed), ProgramError::NotExecutable { path: closed.clone() });
    assert!(matches!(problem(&cut), ProgramError::Malformed { .. }));
}

#[test]
fn a_script_that_is_its_own_interpreter_ends() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("self");
    write(place.path(), "self", &format!("#!{}\n", path.display()), 0o755);
    assert!(matches!(program::entries(&path), Err(ShowError::Incomplete { .. })));
}

#[test]
fn a_name_is_looked_up_on_this_machine() {
    assert!(program::which(Path::new("sh")).unwrap().ends_with("sh"));
    assert!(matches!(program::which(Path::new("absent-program")), Err(ShowError::NotInPath(_))));
    assert!(matches!(program::which(Path::new("./sh")), Err(ShowError::Relative(_))));
}

fn check(view: &View, program: &str) -> Result<(), ProgramError> {
    program::check(view, Path::new(program), vec![], vec![])
}

fn view_of(entries: Vec<Entry>) -> View {
    View::open(&ViewSpec { entries }, None).unwrap()
}

fn graft(path: &str) -> Entry {
    Entry::Graft { at: path.into(), source: path.into(), access: Access::Ro, optional: false }
}

fn write(directory: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}
