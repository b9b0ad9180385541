//! The directory of the first outputs, which others are compared with, and the description of builds that have none.

use std::path::{Path, PathBuf};

use sandbox::{Layout, TopDir, WorkDir, causes};

use super::CompareError;
use crate::build::{BuildError, Builder};
use crate::store_path::StorePath;

/// A directory in the store for the first outputs, on their own volume. Its name begins as the derivation's does, which
/// protects it from the garbage collector.
pub(crate) struct FirstOutputsDir {
    directory: PathBuf,
    _work_dir: WorkDir,
}

impl FirstOutputsDir {
    pub fn make(builder: &Builder, path: &StorePath) -> Result<FirstOutputsDir, CompareError> {
        let directory = builder.store.directory().join(format!("{path}.compare"));
        let top = TopDir { replace: true, ..TopDir::new(directory.clone()) };
        let layout = Layout { tops: vec![top], ..Layout::default() };
        Ok(FirstOutputsDir { directory, _work_dir: WorkDir::create(&builder.state, layout)? })
    }

    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "`check` is for Linux"))]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn output(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// An error with its causes, and what a builder that failed wrote last.
pub(crate) fn describe_failure(error: &BuildError) -> String {
    let mut text = causes::in_a_line(error);
    if let BuildError::Builder(failure) = error
        && !failure.log.is_empty()
    {
        text += "; it wrote last:";
        failure.log.iter().for_each(|line| text += &format!("\n    {line}"));
    }
    text
}
