//! What no view shows unless somebody says so: keys, passwords, tokens.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use regex::bytes::{Regex, RegexBuilder};

use crate::patterns::{PatternError, Patterns};

/// The places of secrets.
const PLACES: &str = include_str!("secrets.txt");
/// How the contents of a file begin that is a key (RFC 7468, and OpenSSH's own form of it).
const KEY: &str = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|AGE-SECRET-KEY-1|PuTTY-User-Key-File-";
/// What a file of settings says of a token or a password, and addresses with a password in them (RFC 3986, section 3.2.1).
const TOKEN: &str = r#"(?:token|passw(?:or)?d|passphrase|secret|api_?key|access_?key|_auth)["']?\s*[:=]\s*["']?[^\s"'$]|://[^/\s:@]+:[^/\s@]+@"#;
/// What is looked at of a file, in bytes.
const LOOKED_AT: u64 = 64 << 10;
/// Where the machine's own files are, which everybody has who has the same system.
const PUBLIC: [&str; 9] = [
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/System",
];

/// Knows secrets.
#[derive(Debug)]
pub struct Secrets {
    places: Patterns,
    key: Regex,
    token: Regex,
    allowed: Vec<PathBuf>,
}

impl Secrets {
    /// All but what is allowed, each with all that lies below it.
    ///
    /// # Errors
    /// Those of the list of places.
    ///
    /// # Panics
    /// If the expressions above are none.
    pub fn new(allowed: &[PathBuf]) -> Result<Secrets, PatternError> {
        let expression = |text: &str| {
            let built = RegexBuilder::new(text).case_insensitive(true).unicode(false).build();
            built.expect("an expression of this file")
        };
        Ok(Secrets {
            places: Patterns::of([(Path::new("loopbox's own"), PLACES)])?,
            key: expression(KEY),
            token: expression(TOKEN),
            allowed: allowed.to_vec(),
        })
    }

    /// Whether a path leads to one, by its name or by what the file has.
    #[must_use]
    pub fn is_one(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|found| self.has(path, &found))
    }

    /// The same of a path where this was found.
    pub(super) fn has(&self, path: &Path, found: &Metadata) -> bool {
        if self.allowed.iter().any(|allowed| path.starts_with(allowed)) || is_public(path, found) {
            return false;
        }
        self.places.match_above(path) || (found.is_file() && self.contains_one(path))
    }

    fn contains_one(&self, path: &Path) -> bool {
        let mut contents = Vec::new();
        // A file that cannot be read has nothing that is known to be one.
        let read = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .and_then(|file| file.take(LOOKED_AT).read_to_end(&mut contents));
        // Programs name such things too.
        let is_text = !contents.contains(&0);
        read.is_ok()
            && is_text
            && (self.key.is_match(&contents) || (is_setting(path) && self.token.is_match(&contents)))
    }
}

/// Whether everybody has it who has the same system.
fn is_public(path: &Path, found: &Metadata) -> bool {
    let readable = found.mode() & 0o004 != 0 && found.uid() == 0;
    readable && PUBLIC.iter().any(|public| path.starts_with(public))
}

/// Whether it is, or lies in, what programs keep out of a user's sight.
fn is_setting(path: &Path) -> bool {
    path.iter().any(|name| name.as_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn secret(name: &str, contents: &str) -> bool {
        let home = tempfile::Builder::new().prefix("home").tempdir().unwrap();
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        Secrets::new(&[]).unwrap().is_one(&path)
    }

    #[test]
    fn secrets_are_known_by_their_places() {
        for name in [
            ".ssh/config",
            ".ssh/keys/work",
            ".aws/credentials",
            ".netrc",
            "project/.netrc",
            ".cargo/credentials.toml",
            "server.key",
            ".bash_history",
            "backup/id_ed25519",
        ] {
            assert!(secret(name, ""), "{name}");
        }
        for name in [".profile", "src/main.rs", ".cargo/registry/index", "keys/readme", ".sshrc"] {
            assert!(!secret(name, ""), "{name}");
        }
        let of_machine = Secrets::new(&[]).unwrap();
        assert!(of_machine.is_one("/etc/shadow".as_ref()) && !of_machine.is_one("/etc/passwd".as_ref()));
    }

    #[test]
    fn secrets_are_known_by_what_they_contain() {
        let key = "text before\n-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA";
        assert!(secret("notes/deploy", key) && secret("a.pem", "-----BEGIN RSA PRIVATE KEY-----"));
        assert!(!secret("a.pem", "-----BEGIN CERTIFICATE-----"));
        for text in [
            "export GITHUB_TOKEN=ghp_1",
            "password: hunter2",
            r#"{"api_key": "x"}"#,
            "_authToken=\"x\"",
            "url = https://me:hunter2@host/repository",
        ] {
            assert!(secret(".config/program/settings", text), "{text}");
            assert!(!secret("src/settings", text), "a program's text may well say so: {text}");
        }
        for text in ["password = $PASSWORD", "url = https://host:80/@a", "tokens and secrets", "token:\n"] {
            assert!(!secret(".config/program/settings", text), "{text}");
        }
        assert!(!secret(".cache/program", "\0password=x"), "no text");
    }

    #[test]
    fn what_is_allowed_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".ssh/known_hosts");
        fs::create_dir(home.path().join(".ssh")).unwrap();
        fs::write(&path, "").unwrap();
        let is_one = |allowed: &Path| Secrets::new(&[allowed.into()]).unwrap().is_one(&path);
        assert!(!is_one(&path) && !is_one(path.parent().unwrap()));
        assert!(is_one(&home.path().join(".ssh/id_rsa")));
    }

    #[test]
    fn what_everybody_has_is_none() {
        let secrets = Secrets::new(&[]).unwrap();
        assert!(!secrets.is_one("/usr/share/no-such.key".as_ref()));
        for file in ["/usr/bin/env", "/usr/lib"] {
            assert!(!secrets.is_one(file.as_ref()), "{file}");
        }
    }
}
