//! The first line of a script (execve(2), "Interpreter scripts").

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of the file Linux looks at for that line (`BINPRM_BUF_SIZE`).
const LINE_MAX: usize = 256;

/// What a script names as its interpreter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// The interpreter's path.
    pub(super) interpreter: PathBuf,
    /// The name that `env` is to look up, if the interpreter is `env`.
    pub(super) looked_up: Option<PathBuf>,
}

/// None if the file does not start as a script.
pub(super) fn parse(contents: &[u8]) -> Option<Script> {
    let line = contents.strip_prefix(b"#!")?;
    let line = &line[..line.len().min(LINE_MAX - 2)];
    let line = line.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty());
    let interpreter = path(words.next()?);
    let is_env = interpreter.file_name() == Some(OsStr::new("env"));
    // Options of env and its assignments come before the name.
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
    Some(Script { interpreter, looked_up: name.filter(|_| is_env).map(path) })
}

fn path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).into()
}

#[cfg(test)]
mod tests {
    use super::{Script, parse};

    fn read(line: &str) -> Option<(String, Option<String>)> {
        let Script { interpreter, looked_up } = parse(line.as_bytes())?;
        Some((interpreter.display().to_string(), looked_up.map(|name| name.display().to_string())))
    }

    #[test]
    fn the_first_word_is_the_interpreter() {
        assert_eq!(read("#! /bin/sh -e\necho"), Some(("/bin/sh".into(), None)));
    }

    #[test]
    fn env_looks_up_the_first_word_that_is_no_option() {
        let expected = Some(("/usr/bin/env".into(), Some("python3".into())));
        assert_eq!(read("#!/usr/bin/env python3\n"), expected);
        assert_eq!(read("#!/usr/bin/env -S A=1 python3 -u\n"), expected);
    }

    #[test]
    fn other_files_are_no_scripts() {
        assert_eq!(read("\x7fELF"), None);
        assert_eq!(read("#!\n"), None);
    }
}
