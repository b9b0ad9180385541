//! Builds whose outputs get their paths from their contents. Only Nix can say what such a derivation becomes once its
//! inputs are there, rewrite an output's references to itself, and write down what it found. So it does, and leaves
//! running the builders to loopbox: as its external builder.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::{fmt, io};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cancel::Cancel;
use crate::plan::SandboxPath;
use crate::store::{Settings, Store, StoreError};
use crate::store_path::StorePath;

/// What Nix has to be allowed.
const FEATURES: [&str; 2] = ["ca-derivations", "external-builders"];

/// The first version of Nix that leaves running builders to others.
const SINCE: (u32, u32) = (2, 32);

/// How Nix is asked to build.
#[derive(Clone)]
pub struct ThroughNix<'a> {
    /// The derivations.
    pub derivations: &'a [StorePath],
    /// Further words for `nix-store --realise`.
    pub words: &'a [OsString],
    /// Paths to show from outside the store.
    pub sandbox_paths: &'a [SandboxPath],
    /// loopbox's program, by a name that other processes can use.
    pub loopbox: &'a Path,
    /// Where what could be left behind is noted.
    pub state: &'a Path,
    /// How it is stopped.
    pub cancel: &'a Cancel,
}

/// Why Nix did not build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThroughNixError {
    /// The settings do not allow content-addressed derivations.
    #[error("content-addressed derivations are an experimental feature of Nix that is not enabled")]
    NotEnabled,
    /// Nix does not know how to leave running builders to others.
    #[error("Nix {}.{} cannot leave running builders to loopbox; 2.32 and later can", .version.0, .version.1)]
    TooOld {
        /// Its version.
        version: (u32, u32),
    },
    /// Nix could not be started.
    #[error("cannot run 'nix-store --realise'")]
    Run(#[source] io::Error),
    /// The store does not say what was built.
    #[error("cannot find out what Nix has built")]
    Store(#[from] StoreError),
}

/// A derivation with its outputs by name, `out` first.
pub type Outputs = Vec<(String, StorePath)>;

impl ThroughNix<'_> {
    /// Builds, unless the words ask for less; what Nix and the builders say goes to standard error. Nix's exit status.
    ///
    /// # Errors
    /// When Nix cannot do it.
    pub fn realise(&self, store: &Store, settings: &Settings) -> Result<ExitStatus, ThroughNixError> {
        if settings.version < SINCE {
            return Err(ThroughNixError::TooOld { version: settings.version });
        }
        if !settings.experimental_features.iter().any(|feature| feature == FEATURES[0]) {
            return Err(ThroughNixError::NotEnabled);
        }
        self.run(store, settings).map_err(ThroughNixError::Run)
    }

    /// What has been built.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn outputs(&self, store: &Store) -> Result<Vec<Outputs>, ThroughNixError> {
        let outputs = self.derivations.iter().map(|path| outputs(store, path));
        Ok(outputs.collect::<Result<_, _>>()?)
    }

    fn run(&self, store: &Store, settings: &Settings) -> io::Result<ExitStatus> {
        let mut command = Command::new("nix-store");
        command.arg("--realise").args(self.words);
        command.args(self.derivations.iter().map(|path| store.locate(path)));
        let before = std::env::var("NIX_CONFIG").unwrap_or_default();
        command.env("NIX_CONFIG", self.configuration(&before, settings));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        // Nix stops its builds itself. It is a child that has not been waited for: the number is still its own.
        let _stoppable = self.cancel.on_cancel(move || {
            let _ = kill(pid, Signal::SIGTERM);
        });
        child.wait()
    }

    /// What was configured before, and loopbox as external builder. That needs root, so there are no build users.
    fn configuration(&self, before: &str, settings: &Settings) -> String {
        let mut words = vec!["--state-dir".to_owned(), self.state.display().to_string()];
        words.push("external-builder".into());
        words.extend(self.sandbox_paths.iter().map(|path| Shown(path).to_string()));
        let systems: Vec<&String> = settings.extra_platforms.iter().chain([&settings.system]).collect();
        let builders = serde_json::json!([{ "systems": systems, "program": self.loopbox, "args": words }]);
        format!(
            "{before}\nbuild-users-group =\nextra-experimental-features = {}\nexternal-builders = {builders}\n",
            FEATURES[1]
        )
    }
}

/// A path as the word that it is read from.
struct Shown<'a>(&'a SandboxPath);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SandboxPath { target, source, optional } = self.0;
        let question = if *optional { "?" } else { "" };
        write!(f, "{}={}{question}", target.display(), source.display())
    }
}

/// What a derivation's outputs have become, now that they are valid.
fn outputs(store: &Store, derivation: &StorePath) -> Result<Outputs, StoreError> {
    let base = derivation.short_name();
    let name = |path: StorePath| {
        // Nix names an output after its derivation and, unless it is `out`, itself.
        let own = path.short_name().strip_prefix(base).and_then(|rest| rest.strip_prefix('-'));
        (own.unwrap_or("out").to_owned(), path)
    };
    let mut outputs: Outputs = store.realised(derivation)?.into_iter().map(name).collect();
    outputs.sort_by_key(|(name, _)| (name != "out", name.clone()));
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nix_is_told_who_builds_after_all_that_was_configured_before() {
        let shown = SandboxPath::parse("/bin/sh=/bin/busybox?").unwrap();
        let through = ThroughNix {
            derivations: &[],
            words: &[],
            sandbox_paths: &[shown],
            loopbox: Path::new("/bin/loop\"box"),
            state: Path::new("/run/loopbox"),
            cancel: &Cancel::default(),
        };
        let settings = Settings { system: "x86_64-linux".into(), ..Settings::default() };
        insta::assert_snapshot!(through.configuration("cores = 2", &settings), @r#"
        cores = 2
        build-users-group =
        extra-experimental-features = external-builders
        external-builders = [{"args":["--state-dir","/run/loopbox","external-builder","/bin/sh=/bin/busybox?"],"program":"/bin/loop\"box","systems":["x86_64-linux"]}]
        "#);
    }
}
