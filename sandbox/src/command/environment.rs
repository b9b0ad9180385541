//! The environment of a command: what a program needs of the caller's to speak his language and to use his terminal.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Declaration, defaults};

/// Variables of the caller's that every command gets: language, time zone, terminal. None of them holds a secret.
const INHERITED: [&str; 6] = ["LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "NO_COLOR"];
/// The beginning of further ones (locale(7)).
const LOCALE: &[u8] = b"LC_";
/// The beginning of loopbox's own, which no command gets unless they are named.
const OWN: &[u8] = b"LOOPBOX_";

type Environment = BTreeMap<OsString, OsString>;

/// The environment, with the declared words over it. `places` are the directories of programs that are shown one by one,
/// `shown` says whether a directory is in the view.
pub fn make(
    caller: &Environment,
    declared: &Declaration,
    places: &[PathBuf],
    shown: impl Fn(&Path) -> bool,
) -> Vec<(OsString, OsString)> {
    let path = search_path(caller.get(OsStr::new("PATH")), places, shown);
    let inherited = |name: &OsStr| match declared.preserve_env {
        true => !name.as_bytes().starts_with(OWN),
        false => INHERITED.iter().any(|known| name == *known) || name.as_bytes().starts_with(LOCALE),
    };
    let mut env = Environment::new();
    if !declared.clear_env {
        env.insert("HOME".into(), "/tmp".into());
        let inherited = caller.iter().filter(|(name, _)| inherited(name));
        env.extend(inherited.map(|(name, value)| (name.clone(), value.clone())));
        env.insert("PATH".into(), path);
    }
    for word in &declared.env {
        let bytes = word.as_bytes();
        match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, value) = (OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]));
                env.insert(name.into(), value.into());
            }
            None => env.extend(caller.get(word).map(|value| (word.clone(), value.clone()))),
        }
    }
    env.into_iter().collect()
}

/// The caller's own, in its order, so that a name means the same program as outside. Directories that are not in it but
/// have a program that was named come first: that program was meant.
fn search_path(own: Option<&OsString>, places: &[PathBuf], shown: impl Fn(&Path) -> bool) -> OsString {
    let split = |text: &OsStr| -> Vec<PathBuf> { std::env::split_paths(text).collect() };
    let own = own.map_or_else(|| split(defaults::PATH.as_ref()), |own| split(own));
    let mut path: Vec<PathBuf> = Vec::new();
    let named = places.iter().filter(|place| !own.contains(place));
    for place in named.chain(own.iter().filter(|place| place.is_absolute() && shown(place))) {
        if !path.contains(place) {
            path.push(place.clone());
        }
    }
    match std::env::join_paths(path) {
        Ok(path) if !path.is_empty() => path,
        _ => defaults::PATH.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Declaration, Environment, make};

    fn caller() -> Environment {
        let variables = [
            ("PATH", "/home/me/bin:/usr/bin:.:/usr/local/bin:/bin:/usr/bin"),
            ("HOME", "/home/me"),
            ("LANG", "C.UTF-8"),
            ("LC_TIME", "de_DE.UTF-8"),
            ("TERM", "xterm"),
            ("NO_COLOR", "1"),
            ("SECRET", "x"),
            ("LOOPBOX_STATE_DIR", "/s"),
        ];
        variables.map(|(name, value)| (name.into(), value.into())).into()
    }

    fn declared(words: &[&str]) -> Declaration {
        Declaration { env: words.iter().map(Into::into).collect(), ..Declaration::default() }
    }

    fn made(declared: &Declaration, places: &[&str]) -> String {
        let places: Vec<_> = places.iter().map(Into::into).collect();
        let shown = |at: &Path| at == Path::new("/usr/bin") || at == Path::new("/bin");
        let made = make(&caller(), declared, &places, shown);
        made.iter().map(|(name, value)| format!("{}={}\n", name.display(), value.display())).collect()
    }

    #[test]
    fn language_terminal_and_the_shown_part_of_the_path_are_the_callers() {
        insta::assert_snapshot!(made(&declared(&[]), &["/usr/bin"]), @"
        HOME=/tmp
        LANG=C.UTF-8
        LC_TIME=de_DE.UTF-8
        NO_COLOR=1
        PATH=/usr/bin:/bin
        TERM=xterm
        ");
    }

    #[test]
    fn words_come_over_it_and_a_program_of_another_directory_is_found_first() {
        insta::assert_snapshot!(made(&declared(&["SECRET", "LANG=", "ABSENT", "A=b=c"]), &["/opt/x"]), @"
        A=b=c
        HOME=/tmp
        LANG=
        LC_TIME=de_DE.UTF-8
        NO_COLOR=1
        PATH=/opt/x:/usr/bin:/bin
        SECRET=x
        TERM=xterm
        ");
    }

    #[test]
    fn all_of_it_is_all_but_what_is_loopboxs_own() {
        insta::assert_snapshot!(made(&Declaration { preserve_env: true, ..declared(&[]) }, &[]), @"
        HOME=/home/me
        LANG=C.UTF-8
        LC_TIME=de_DE.UTF-8
        NO_COLOR=1
        PATH=/usr/bin:/bin
        SECRET=x
        TERM=xterm
        ");
    }

    #[test]
    fn a_clear_one_has_what_is_named_alone() {
        let clear = Declaration { clear_env: true, ..declared(&["A=1", "TERM"]) };
        insta::assert_snapshot!(made(&clear, &["/opt/x"]), @"
        A=1
        TERM=xterm
        ");
    }

    #[test]
    fn where_nothing_of_the_path_is_shown_the_usual_directories_are_searched() {
        let nothing = make(&caller(), &declared(&[]), &[], |_| false);
        assert_eq!(nothing.iter().find(|(name, _)| name == "PATH").unwrap().1, super::defaults::PATH);
    }
}
