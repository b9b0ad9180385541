//! What trials have shown, kept until the system or its protection is another.

use std::fs;
use std::io;
use std::path::Path;

use super::Facts;

/// The longest file that is read, in bytes: it holds a few lines.
const LENGTH_MAX: u64 = 1 << 16;

impl Facts {
    /// What was tried on this very machine, as `self` describes it, if it was and somebody kept it.
    #[must_use]
    pub fn known(&self, file: &Path) -> Option<Facts> {
        let small = file.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() <= LENGTH_MAX);
        let text = fs::read(file).ok().filter(|_| small)?;
        let known: Facts = serde_json::from_slice(&text).ok()?;
        self.same_machine(&known).then_some(known)
    }

    /// Keeps what was tried. The directory has to be root's alone.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        // Written aside and renamed, so that nobody reads half of it.
        let aside = file.with_extension(format!("{}.new", std::process::id()));
        fs::write(&aside, serde_json::to_vec(self)?)?;
        fs::rename(&aside, file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::entry::decision::{Facts, Sip, Trial};

    #[test]
    fn what_is_kept_is_found_again_on_the_same_machine_only() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("ways.json");
        let now =
            Facts { build: "24F74".into(), sip: Sip::Protects, cryptex: None, trials: Default::default() };
        assert_eq!(now.known(&file), None);
        let mut tried = now.clone();
        tried.try_all(|_| Trial::Works);
        tried.keep(&file).unwrap();
        assert_eq!(now.known(&file), Some(tried));
        assert_eq!(Facts { sip: Sip::Off, ..now.clone() }.known(&file), None);
        assert_eq!(Facts { build: "25A1".into(), ..now.clone() }.known(&file), None);
        fs::write(&file, "{").unwrap();
        assert_eq!(now.known(&file), None);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
