//! The results of probes, saved until the system or its protection is another.

use std::fs;
use std::io;
use std::path::Path;

use super::MacCapabilities;

/// The longest file that is read, in bytes: it holds a few lines.
const LENGTH_MAX: u64 = 1 << 16;

impl MacCapabilities {
    /// The saved results of this very machine, as `self` describes it, if there are any.
    #[must_use]
    pub fn load_saved(&self, file: &Path) -> Option<MacCapabilities> {
        let small = file.symlink_metadata().is_ok_and(|found| found.is_file() && found.len() <= LENGTH_MAX);
        let text = fs::read(file).ok().filter(|_| small)?;
        let saved: MacCapabilities = serde_json::from_slice(&text).ok()?;
        self.same_machine(&saved).then_some(saved)
    }

    /// Saves the results of probes. The directory has to be root's alone.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        // Written beside it and renamed, so that nobody reads half of it.
        let new = file.with_extension(format!("{}.new", std::process::id()));
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(&new, file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::entry::decision::{MacCapabilities, ProbeResult, Sip};

    #[test]
    fn what_is_saved_is_loaded_on_the_same_machine_only() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("ways.json");
        let now = MacCapabilities {
            build: "24F74".into(),
            sip: Sip::Protects,
            cryptex: None,
            probes: Default::default(),
        };
        assert_eq!(now.load_saved(&file), None);
        let mut tried = now.clone();
        tried.probe_all(|_| ProbeResult::Works);
        tried.save(&file).unwrap();
        assert_eq!(now.load_saved(&file), Some(tried));
        assert_eq!(MacCapabilities { sip: Sip::Off, ..now.clone() }.load_saved(&file), None);
        assert_eq!(MacCapabilities { build: "25A1".into(), ..now.clone() }.load_saved(&file), None);
        fs::write(&file, "{").unwrap();
        assert_eq!(now.load_saved(&file), None);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
