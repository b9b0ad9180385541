//! What Nix and a build hook say to each other: Nix in numbers of eight bytes, little-endian, and strings that are padded to
//! multiples of eight; the hook in lines. Nix's `src/libstore/unix/build/hook-instance.cc` and `build-remote.cc` are the
//! only description there is.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Read, Write};

use serde_json::json;

use super::Offer;

/// The longest string that is read, in bytes: store paths and settings are far shorter.
const STRING_MAX: u64 = 1 << 20;

/// The most strings that are read one after the other: the largest closures have some tens of thousands of paths.
const STRINGS_MAX: u64 = 1 << 20;

/// What a message is to Nix, which shows those up to the level that its user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something went wrong.
    Error = 0,
    /// Something that its user should know.
    Warning = 1,
    /// Something that happens.
    Information = 3,
    /// Something for those who look into it.
    Debug = 6,
}

/// A Nix that offers derivations.
#[derive(Debug)]
pub struct Connection<R, W> {
    from_nix: R,
    to_nix: W,
}

/// Nix and the hook do not understand each other.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Nothing comes, or nothing goes.
    #[error("the connection to Nix has failed")]
    Io(#[from] io::Error),
    /// Something other than what is due has come.
    #[error("this is not the protocol of Nix's build hook: {0}")]
    Unexpected(String),
}

impl<R: Read, W: Write> Connection<R, W> {
    /// What Nix reads and writes.
    pub fn new(from_nix: R, to_nix: W) -> Connection<R, W> {
        Connection { from_nix, to_nix }
    }

    /// All settings of Nix's, with their values as texts: what it says first.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn settings(&mut self) -> Result<BTreeMap<String, String>, ProtocolError> {
        let mut settings = BTreeMap::new();
        loop {
            match self.number()? {
                0 => return Ok(settings),
                1 if (settings.len() as u64) < STRINGS_MAX => {
                    let name = self.string()?;
                    settings.insert(name, self.string()?);
                }
                other => return Err(unexpected(&format_args!("{other} before a setting"))),
            }
        }
    }

    /// The next derivation that is offered; `None` when Nix has no more.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn offer(&mut self) -> Result<Option<Offer>, ProtocolError> {
        let mut length = [0; 8];
        match self.from_nix.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        if self.string_of(u64::from_le_bytes(length))? != "try" {
            // Nix's own hook ends as well.
            return Ok(None);
        }
        // Whether Nix would build it as well: nothing depends on that here.
        self.number()?;
        let (system, path) = (self.string()?, self.string()?);
        let features = self.strings()?;
        Ok(Some(Offer { system, path, features }))
    }

    /// Leaves the offered derivation to Nix or to others.
    ///
    /// # Errors
    /// Nix cannot be told.
    pub fn decline(&mut self) -> Result<(), ProtocolError> {
        self.line("# decline")
    }

    /// Leaves it to them, and all others as well.
    ///
    /// # Errors
    /// Nix cannot be told.
    pub fn decline_permanently(&mut self) -> Result<(), ProtocolError> {
        self.line("# decline-permanently")
    }

    /// Has the derivation offered once more later.
    ///
    /// # Errors
    /// Nix cannot be told.
    pub fn postpone(&mut self) -> Result<(), ProtocolError> {
        self.line("# postpone")
    }

    /// Accepts the offered derivation, which is then built `on` this machine for the eyes of Nix's user. Nix offers no more.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn accept(&mut self, on: &str) -> Result<(), ProtocolError> {
        self.line(&format!("# accept\n{on}"))?;
        // The closure of its inputs, which are in the store, and the names of those outputs that are not.
        for _ in 0..2 {
            self.strings()?;
        }
        Ok(())
    }

    /// Tells Nix's user something.
    ///
    /// # Errors
    /// Nix cannot be told.
    pub fn tell(&mut self, level: Level, message: &str) -> Result<(), ProtocolError> {
        let message = json!({ "action": "msg", "level": level as u8, "msg": message });
        self.line(&format!("@nix {message}"))
    }

    fn line(&mut self, line: &str) -> Result<(), ProtocolError> {
        // One call, as others write there too.
        self.to_nix.write_all(format!("{line}\n").as_bytes())?;
        Ok(self.to_nix.flush()?)
    }

    fn number(&mut self) -> Result<u64, ProtocolError> {
        let mut bytes = [0; 8];
        self.from_nix.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn string(&mut self) -> Result<String, ProtocolError> {
        let length = self.number()?;
        self.string_of(length)
    }

    fn string_of(&mut self, length: u64) -> Result<String, ProtocolError> {
        if length > STRING_MAX {
            return Err(unexpected(&format_args!("a string of {length} bytes")));
        }
        let mut bytes = vec![0; length.next_multiple_of(8) as usize];
        self.from_nix.read_exact(&mut bytes)?;
        bytes.truncate(length as usize);
        String::from_utf8(bytes).map_err(|_| unexpected(&"a string that is not UTF-8"))
    }

    fn strings(&mut self) -> Result<Vec<String>, ProtocolError> {
        let count = self.number()?;
        if count > STRINGS_MAX {
            return Err(unexpected(&format_args!("a list of {count} strings")));
        }
        (0..count).map(|_| self.string()).collect()
    }
}

fn unexpected(what: &dyn Display) -> ProtocolError {
    ProtocolError::Unexpected(what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        [(text.len() as u64).to_le_bytes().to_vec(), bytes].concat()
    }

    fn strings(texts: &[&str]) -> Vec<u8> {
        let count = (texts.len() as u64).to_le_bytes().to_vec();
        [count, texts.iter().flat_map(|text| string(text)).collect()].concat()
    }

    fn number(number: u64) -> Vec<u8> {
        number.to_le_bytes().into()
    }

    fn offer(path: &str) -> Vec<u8> {
        [string("try"), number(1), string("x86_64-linux"), string(path), strings(&["kvm"])].concat()
    }

    #[test]
    fn nix_says_its_settings_and_offers_until_one_is_accepted() {
        let said = [
            [number(1), string("cores"), string("2"), number(1), string("store"), string("auto"), number(0)]
                .concat(),
            [offer("/nix/store/a.drv"), offer("/nix/store/b.drv")].concat(),
            [strings(&["/nix/store/input"]), strings(&["out", "dev"])].concat(),
        ]
        .concat();
        let (mut from, mut to) = (&said[..], Vec::new());
        let mut nix = Connection::new(&mut from, &mut to);
        let settings = nix.settings().unwrap();
        assert_eq!(settings.into_iter().collect::<Vec<_>>(), [("cores", "2"), ("store", "auto")].map(owned));
        let first = nix.offer().unwrap().unwrap();
        assert_eq!((first.system.as_str(), first.path.as_str()), ("x86_64-linux", "/nix/store/a.drv"));
        assert_eq!(first.features, ["kvm"]);
        nix.decline().unwrap();
        assert_eq!(nix.offer().unwrap().unwrap().path, "/nix/store/b.drv");
        nix.tell(Level::Information, "a \"word\"\n").unwrap();
        nix.accept("loopbox").unwrap();
        assert!(from.is_empty(), "all has been read");
        insta::assert_snapshot!(String::from_utf8(to).unwrap(), @r##"
        # decline
        @nix {"action":"msg","level":3,"msg":"a \"word\"\n"}
        # accept
        loopbox
        "##);
    }

    fn owned((name, value): (&str, &str)) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn nix_has_no_more_when_it_ends_or_says_another_word() {
        for said in [Vec::new(), string("end")] {
            assert!(Connection::new(&said[..], io::sink()).offer().unwrap().is_none());
        }
    }

    #[test]
    fn what_is_not_nix_is_refused_before_memory_is_taken_for_it() {
        let settings = |said: &[u8]| Connection::new(said, io::sink()).settings().unwrap_err().to_string();
        let not_nix = "this is not the protocol of Nix's build hook: ";
        assert_eq!(settings(&number(7)), format!("{not_nix}7 before a setting"));
        let long = [number(1), number(u64::MAX)].concat();
        assert_eq!(settings(&long), format!("{not_nix}a string of 18446744073709551615 bytes"));
        let binary = [number(1), number(2), vec![0xff; 8]].concat();
        assert_eq!(settings(&binary), format!("{not_nix}a string that is not UTF-8"));
        assert_eq!(settings(b"short"), "the connection to Nix has failed");
        let many = [string("try"), number(1), string("x"), string("/x"), number(1 << 40)].concat();
        let refused = Connection::new(&many[..], io::sink()).offer().unwrap_err();
        assert_eq!(refused.to_string(), format!("{not_nix}a list of 1099511627776 strings"));
    }
}
