//! A program that cannot start in a view: loopbox names what is missing and the flag that shows it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![
    host_programs_come_with_what_they_need,
    a_program_that_is_not_in_the_view,
    a_missing_loader,
    a_missing_library,
    a_missing_interpreter,
    an_interpreter_that_lacks_its_own_loader,
    a_directory_as_a_program,
    a_file_that_is_no_program,
    a_file_that_may_not_be_executed,
];

/// What a run that fails tells, with the case's directory left out.
fn told(place: &Place, words: &[&str]) -> String {
    let ran = Loopbox::at(place).run([&["run"], words].concat());
    assert_eq!(ran.stdout, "");
    ran.told().replace(&format!("{}/", place.dir().display()), "…/")
}

/// Adds to the words the flag that loopbox names first, and runs again; the answer is the standard output.
fn told_and_followed(place: &Place, words: &[&str], text: &str) -> String {
    assert_eq!(told(place, words), text);
    let loopbox = Loopbox::at(place);
    let stderr = loopbox.run([&["run"], words].concat()).stderr;
    let flag =
        stderr.split("Hint: '").nth(1).and_then(|rest| rest.split('\'').next()).expect("there is a hint");
    loopbox.good(["run"].into_iter().chain(flag.split(' ')).chain(words.iter().copied()))
}

fn script(place: &Place, text: &str, mode: u32) -> PathBuf {
    let path = place.file("script", text);
    fs::set_permissions(&path, Permissions::from_mode(mode)).expect("root can change modes");
    path
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn host_programs_come_with_what_they_need(place: &Place) {
    let loopbox = Loopbox::at(place);
    let git = loopbox.good(["run", "--with", "git", "--", "git", "--version"]);
    assert!(git.starts_with("git version "), "{git}");
    let perl = loopbox.good(["run", "--with", "perl", "--", "perl", "-e", "print 'perl'"]);
    assert_eq!(perl, "perl");
    let script = shown(&script(place, "#!/usr/bin/perl\nprint 'script';\n", 0o755));
    assert_eq!(loopbox.good(["run", "--with", &script, "--", &script]), "script");
}

fn a_program_that_is_not_in_the_view(place: &Place) {
    let text = "Error: \"perl\" is in no directory of the PATH in the view
Hint: '--with perl' shows this machine's perl with all that it needs
exit status 127";
    assert_eq!(told_and_followed(place, &["--", "perl", "-e", "print 1"], text), "1");
    let text = "Error: \"/usr/bin/perl\" does not exist in the view
Hint: '--with /usr/bin/perl' or '--ro /usr/bin/perl' shows it, if this machine has it
exit status 127";
    assert_eq!(told_and_followed(place, &["--", "/usr/bin/perl", "-e", "print 1"], text), "1");
}

fn a_missing_loader(place: &Place) {
    let text = "Error: \"/usr/bin/perl\" cannot start in the view
Caused by: the loader \"/lib64/ld-linux-x86-64.so.2\" of \"/usr/bin/perl\" does not exist there
Hint: '--with /usr/bin/perl' shows a program of this machine with its loader and libraries; '--ro /lib64/ld-linux-x86-64.so.2' the loader alone
exit status 126";
    let words = ["--ro", "/usr/bin/perl", "--", "/usr/bin/perl", "-e", "print 1"];
    assert_eq!(told_and_followed(place, &words, text), "1");
}

fn a_missing_library(place: &Place) {
    // The first line is the loader's own.
    let text = "/usr/bin/perl: error while loading shared libraries: libm.so.6: cannot open shared object file: No such file or directory
Error: \"/usr/bin/perl\" cannot start in the view
Caused by: the library \"libm.so.6\" that \"/usr/bin/perl\" needs is in no directory that its loader searches there
Hint: '--with /usr/bin/perl' shows it with its libraries; '--ro DIR/libm.so.6' the library alone
exit status 126";
    // The shell brings the loader, and the C library with it.
    let words = ["--with", "sh", "--ro", "/usr/bin/perl", "--", "/usr/bin/perl", "-e", "print 1"];
    assert_eq!(told_and_followed(place, &words, text), "1");
}

fn a_missing_interpreter(place: &Place) {
    let script = shown(&script(place, "#!/usr/bin/perl\nprint 'script';\n", 0o755));
    let text = "Error: \"…/script\" cannot start in the view
Caused by: the interpreter \"/usr/bin/perl\" of the script \"…/script\" does not exist there
Hint: '--with /usr/bin/perl' shows this machine's /usr/bin/perl with all that it needs
exit status 126";
    assert_eq!(told_and_followed(place, &["--ro", &script, "--", &script], text), "script");
}

fn an_interpreter_that_lacks_its_own_loader(place: &Place) {
    let script = shown(&script(place, "#!/usr/bin/perl\nprint 'script';\n", 0o755));
    let text = "Error: \"…/script\" cannot start in the view
Caused by: the loader \"/lib64/ld-linux-x86-64.so.2\" of \"/usr/bin/perl\" does not exist there
Hint: '--with /usr/bin/perl' shows a program of this machine with its loader and libraries; '--ro /lib64/ld-linux-x86-64.so.2' the loader alone
exit status 126";
    let words = ["--ro", "/usr/bin/perl", "--ro", &script, "--", &script];
    assert_eq!(told_and_followed(place, &words, text), "script");
}

fn a_directory_as_a_program(place: &Place) {
    let text = "Error: \"/usr/bin\" cannot start in the view
Caused by: \"/usr/bin\" is not a regular file
exit status 126";
    assert_eq!(told(place, &["--preset", "base", "--", "/usr/bin"]), text);
}

fn a_file_that_is_no_program(place: &Place) {
    let file = shown(&script(place, "just text\n", 0o755));
    let text = "Error: \"…/script\" cannot start in the view
Caused by: \"…/script\" is neither a program for any system nor a script that starts with '#!'
exit status 126";
    assert_eq!(told(place, &["--ro", &file, "--", &file]), text);
}

fn a_file_that_may_not_be_executed(place: &Place) {
    let file = shown(&script(place, "#!/usr/bin/perl\n", 0o644));
    let text = "Error: \"…/script\" cannot start in the view
Caused by: \"…/script\" is not marked as executable
Hint: chmod +x …/script
exit status 126";
    assert_eq!(told(place, &["--ro", &file, "--", &file]), text);
}
