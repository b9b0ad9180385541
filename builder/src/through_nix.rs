//! Builds whose outputs get their paths from their contents. Only Nix can say what such a derivation becomes once its
//! inputs are there, rewrite an output's references to itself, and write down what it found. So it does, and leaves
//! running the builders to loopbox: as its external builder.

mod phases;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::{fmt, io};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

use crate::derivation::Derivation;
use crate::plan::SandboxPath;
use crate::store::{Settings, Store, StoreError};
use crate::store_path::{StorePath, StorePathError};
use sandbox::Scratches;
use sandbox::cancel::Cancel;

use phases::Phases;

/// What Nix has to be allowed.
const FEATURES: [&str; 3] = ["ca-derivations", "external-builders", "nix-command"];

/// The first version of Nix that leaves running builders to others.
const SINCE: (u32, u32) = (2, 32);

/// Words of `nix-store --realise` that are about the derivations that were asked for, and not about what they need.
const OF_ROOTS: [&str; 2] = ["--check", "--repair"];

/// The same words of `nix build`, which alone says what an impure derivation has become: nothing of that is written down.
const OF_NIX_BUILD: [(&str, Option<&str>); 2] = [("--check", Some("--rebuild")), ("--no-build-output", None)];

/// How Nix is asked to build.
#[derive(Clone)]
pub struct ThroughNix<'a> {
    /// The derivations.
    pub derivations: &'a [StorePath],
    /// Further words for `nix-store --realise`.
    pub words: &'a [OsString],
    /// Paths to show from outside the store.
    pub sandbox_paths: &'a [SandboxPath],
    /// How scratches are reached.
    pub scratches: Scratches,
    /// Further words for `loopbox external-builder`.
    pub builder_words: &'a [String],
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
    /// Nix's daemon would run the builders itself.
    #[error(
        "an ordinary user's builds are run by Nix's daemon, whose setting 'external-builders' names no loopbox"
    )]
    NotLeft,
    /// Nix could not be started.
    #[error("cannot run Nix's program '{program}'")]
    Run {
        /// The program.
        program: String,
        /// The I/O error.
        source: io::Error,
    },
    /// Nix said something else than what it has built.
    #[error("cannot read the JSON that 'nix build' printed")]
    Json(#[from] serde_json::Error),
    /// It named something that is not a store path.
    #[error("'nix build' printed something that is not a store path")]
    Path(#[from] StorePathError),
    /// The store does not say what was built.
    #[error("cannot find out what Nix has built")]
    Store(#[from] StoreError),
}

/// A derivation with its outputs by name, `out` first.
pub type Outputs = Vec<(String, StorePath)>;

/// How Nix ended, and what it has built.
#[derive(Debug)]
pub struct Realised {
    /// How Nix ended.
    pub status: ExitStatus,
    /// Outputs that nobody else knows: those of impure derivations.
    impure: BTreeMap<StorePath, Outputs>,
}

impl ThroughNix<'_> {
    /// Builds, unless the words ask for less; what Nix and the builders say goes to standard error.
    ///
    /// # Errors
    /// When Nix cannot do it.
    pub fn realise(&self, store: &Store, settings: &Settings) -> Result<Realised, ThroughNixError> {
        if settings.version < SINCE {
            return Err(ThroughNixError::TooOld { version: settings.version });
        }
        if !settings.experimental_features.iter().any(|feature| feature == FEATURES[0]) {
            return Err(ThroughNixError::NotEnabled);
        }
        let Phases { sealed, open } = Phases::of(store, self.derivations)?;
        let nothing_open = |status| Realised { status, impure: BTreeMap::new() };
        if open.is_empty() {
            return self.realise_sealed(store, settings, self.derivations, self.words).map(nothing_open);
        }
        if !sealed.is_empty() {
            let roots = sealed.iter().all(|path| self.derivations.contains(path));
            let of_roots = |word: &OsString| OF_ROOTS.iter().any(|known| word == known);
            let words: Vec<OsString> =
                self.words.iter().filter(|word| roots || !of_roots(word)).cloned().collect();
            let status = self.realise_sealed(store, settings, &sealed, &words)?;
            if !status.success() {
                return Ok(nothing_open(status));
            }
        }
        self.realise_open(store, settings, &open)
    }

    /// Checks that Nix is set up to leave running the builders to loopbox: whoever asks its daemon has no say in that.
    ///
    /// # Errors
    /// [`ThroughNixError::NotLeft`].
    pub fn check_left(&self, settings: &Settings) -> Result<(), ThroughNixError> {
        let builder = settings.external_builder().ok_or(ThroughNixError::NotLeft)?;
        let is_loopbox = builder.program.file_name() == self.loopbox.file_name();
        is_loopbox.then_some(()).ok_or(ThroughNixError::NotLeft)
    }

    /// Builds as Nix is set up.
    ///
    /// # Errors
    /// When Nix cannot do it.
    pub fn realise_by_daemon(&self, store: &Store) -> Result<Realised, ThroughNixError> {
        let mut command = store.programs().command("nix-store");
        command.arg("--realise").args(self.words).stdout(Stdio::null());
        command.args(self.derivations.iter().map(|path| store.locate(path)));
        let status = run_as_set(&mut command, self.cancel)?.0;
        Ok(Realised { status, impure: BTreeMap::new() })
    }

    /// What has been built.
    ///
    /// # Errors
    /// When the store does not say.
    pub fn outputs(&self, store: &Store, realised: &Realised) -> Result<Vec<Outputs>, ThroughNixError> {
        let outputs = self.derivations.iter().map(|path| match realised.impure.get(path) {
            Some(outputs) => Ok(outputs.clone()),
            None => outputs(store, path),
        });
        Ok(outputs.collect::<Result<_, _>>()?)
    }

    fn realise_sealed(
        &self,
        store: &Store,
        settings: &Settings,
        derivations: &[StorePath],
        words: &[OsString],
    ) -> Result<ExitStatus, ThroughNixError> {
        let mut command = Command::new("nix-store");
        command.arg("--realise").args(words);
        command.args(derivations.iter().map(|path| store.locate(path)));
        Ok(self.run(command.stdout(Stdio::null()), store, settings, false)?.0)
    }

    /// Builds with the network.
    fn realise_open(
        &self,
        store: &Store,
        settings: &Settings,
        derivations: &[StorePath],
    ) -> Result<Realised, ThroughNixError> {
        let mut command = Command::new("nix");
        command.args(["build", "--no-link", "--json"]);
        if self.words.iter().all(|word| word != "--no-build-output") {
            command.arg("--print-build-logs");
        }
        for word in self.words {
            match OF_NIX_BUILD.iter().find(|(known, _)| word == known) {
                Some((_, other)) => command.args(other),
                None => command.arg(word),
            };
        }
        command.args(derivations.iter().map(|path| format!("{}^*", store.locate(path).display())));
        let (status, said) = self.run(command.stdout(Stdio::piped()), store, settings, true)?;
        let impure = if status.success() { impure_outputs(&said)? } else { BTreeMap::new() };
        Ok(Realised { status, impure })
    }

    /// Runs Nix. What it prints is returned where that is a pipe.
    fn run(
        &self,
        command: &mut Command,
        store: &Store,
        settings: &Settings,
        network: bool,
    ) -> Result<(ExitStatus, Vec<u8>), ThroughNixError> {
        let before = store.programs().configuration();
        run_as_set(command.env("NIX_CONFIG", self.configuration(&before, settings, network)), self.cancel)
    }

    /// What was configured before, and loopbox as external builder. That needs root, so there are no build users.
    fn configuration(&self, before: &str, settings: &Settings, network: bool) -> String {
        let mut words = vec!["--state-dir".to_owned(), self.state.display().to_string()];
        words.push("external-builder".into());
        words.extend(network.then(|| "--network".into()));
        words.extend(["--scratch".into(), self.scratches.to_string()]);
        words.extend(self.builder_words.iter().cloned());
        words.extend(self.sandbox_paths.iter().map(|path| SandboxPathWord(path).to_string()));
        let systems: Vec<&String> = settings.extra_platforms.iter().chain([&settings.system]).collect();
        let builders = serde_json::json!([{ "systems": systems, "program": self.loopbox, "args": words }]);
        format!(
            "{before}\nbuild-users-group =\nextra-experimental-features = {}\nexternal-builders = {builders}\n",
            FEATURES[1..].join(" ")
        )
    }
}

/// Has Nix make what a derivation needs, as it is set up: the outputs of others that it names, and its sources.
///
/// # Errors
/// When Nix cannot be run.
pub fn realise_inputs(
    store: &Store,
    derivation: &Derivation<'_>,
    cancel: &Cancel,
) -> Result<ExitStatus, ThroughNixError> {
    let outputs = derivation.input_derivations.iter().map(|(path, outputs)| {
        let outputs: Vec<&str> = outputs.iter().map(|output| &**output).collect();
        format!("{path}!{}", outputs.join(","))
    });
    let sources = derivation.input_sources.iter().map(ToString::to_string);
    let words: Vec<String> = outputs.chain(sources).collect();
    if words.is_empty() {
        return Ok(ExitStatus::default());
    }
    let mut command = store.programs().command("nix-store");
    // The paths are held by other means.
    command.args(["--realise", "--no-gc-warning"]).args(words).stdout(Stdio::null());
    Ok(run_as_set(&mut command, cancel)?.0)
}

fn run_as_set(command: &mut Command, cancel: &Cancel) -> Result<(ExitStatus, Vec<u8>), ThroughNixError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source| ThroughNixError::Run { program: program.clone(), source };
    let child = command.stdin(Stdio::null()).spawn();
    let child = child.map_err(&failed)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // Nix stops its builds itself. It is a child that has not been waited for: the number is still its own.
    let _stoppable = cancel.on_cancel(move || {
        let _ = kill(pid, Signal::SIGTERM);
    });
    let output = child.wait_with_output().map_err(&failed)?;
    Ok((output.status, output.stdout))
}

/// A path in the form that [`SandboxPath::parse_all`] reads.
struct SandboxPathWord<'a>(&'a SandboxPath);

impl fmt::Display for SandboxPathWord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SandboxPath { target, source, optional } = self.0;
        let question = if *optional { "?" } else { "" };
        write!(f, "{}={}{question}", target.display(), source.display())
    }
}

/// One derivation in the answer of `nix build --json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BuiltPath {
    drv_path: String,
    outputs: BTreeMap<String, String>,
}

/// What `nix build` says that derivations have become.
fn impure_outputs(said: &[u8]) -> Result<BTreeMap<StorePath, Outputs>, ThroughNixError> {
    let path = |text: &str| StorePath::new(text.rsplit('/').next().unwrap_or(text));
    let mut all = BTreeMap::new();
    for BuiltPath { drv_path, outputs } in serde_json::from_slice::<Vec<BuiltPath>>(said)? {
        let outputs = outputs.into_iter().map(|(name, output)| Ok((name, path(&output)?)));
        let mut outputs: Outputs = outputs.collect::<Result<_, StorePathError>>()?;
        outputs.sort_by_key(|(name, _)| (name != "out", name.clone()));
        all.insert(path(&drv_path)?, outputs);
    }
    Ok(all)
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
            scratches: Scratches::Nfs,
            builder_words: &["--max-inodes=9".into()],
            loopbox: Path::new("/bin/loop\"box"),
            state: Path::new("/run/loopbox"),
            cancel: &Cancel::default(),
        };
        let settings = Settings { system: "x86_64-linux".into(), ..Settings::default() };
        insta::assert_snapshot!(through.configuration("cores = 2", &settings, false), @r#"
        cores = 2
        build-users-group =
        extra-experimental-features = external-builders nix-command
        external-builders = [{"args":["--state-dir","/run/loopbox","external-builder","--scratch","nfs","--max-inodes=9","/bin/sh=/bin/busybox?"],"program":"/bin/loop\"box","systems":["x86_64-linux"]}]
        "#);
    }

    #[test]
    fn what_nix_says_of_impure_derivations_is_read() {
        let drv = "86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv";
        let (out, dev) = ("96vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x", "a6vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x-dev");
        let said = serde_json::json!([{
            "drvPath": format!("/nix/store/{drv}"),
            "outputs": { "dev": format!("/nix/store/{dev}"), "out": format!("/nix/store/{out}") },
        }]);
        let read = impure_outputs(said.to_string().as_bytes()).unwrap();
        let outputs = [("out", out), ("dev", dev)];
        let outputs = outputs.map(|(name, path)| (name.to_owned(), StorePath::new(path).unwrap()));
        assert_eq!(read, BTreeMap::from([(StorePath::new(drv).unwrap(), outputs.to_vec())]));
        assert!(impure_outputs(b"{}").is_err());
    }
}
