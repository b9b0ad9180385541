//! Nix's settings, those of them that shape a build.

mod printed;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::{CommandError, Programs};
use printed::Printed;

/// Settings that change builds, or what comes after them, in ways that are not implemented: who has set one would
/// not get what he asked for. Each is off by default.
const UNSUPPORTED: [&str; 2] = ["impure-env", "repeat"];

/// What Nix's configuration says about builds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Settings {
    /// Nix's version: major, minor.
    pub version: (u32, u32),
    /// Group whose members builds run as; empty for none.
    pub build_users_group: String,
    /// Words of the form `target[=source][?]`.
    pub sandbox_paths: Vec<String>,
    /// Host paths that a derivation may ask for with `__impureHostDeps`, with all that lies below them.
    pub allowed_impure_host_deps: Vec<String>,
    /// Cores that one build may use; 0 for all.
    pub cores: u32,
    /// Builds at the same time.
    pub max_jobs: u32,
    /// The store that Nix's programs use (`NIX_REMOTE`).
    pub store: String,
    /// Keys that what is built is signed with.
    pub secret_key_files: Vec<PathBuf>,
    /// Whether files are written out before their paths become valid.
    pub sync_files: bool,
    /// Whether what is registered survives a crash of the machine.
    pub sync_metadata: bool,
    /// Whether the database has a log of writes ahead, and the locks that belong to it.
    pub use_sqlite_wal: bool,
    /// Where paths may be fetched from.
    pub substituters: Vec<String>,
    /// This system, as `x86_64-linux`.
    pub system: String,
    /// Other systems whose programs run here.
    pub extra_platforms: Vec<String>,
    /// Features that derivations may ask for.
    pub system_features: Vec<String>,
    /// Where builds' directories are made, when Nix has such a setting.
    pub build_dir: Option<PathBuf>,
    /// Where a build finds its directory.
    pub sandbox_build_dir: PathBuf,
    /// How large a build's shared memory may become, when Nix has such a setting.
    pub sandbox_dev_shm_size: Option<String>,
    /// Whether set-id modes and extended attributes are refused by a filter of system calls.
    pub filter_syscalls: bool,
    /// Whether builds are told that the kernel is a Linux 2.6.
    pub impersonate_linux_26: bool,
    /// Whether Nix itself would build without a sandbox what asks for none (`sandbox = relaxed`).
    pub sandbox_relaxed: bool,
    /// Certificates for builds that may use the network.
    pub ssl_cert_file: Option<PathBuf>,
    /// Lines of a failed build's log that are shown.
    pub log_lines: usize,
    /// Whether failed builds' directories are kept.
    pub keep_failed: bool,
    /// Whether a failure lets other builds go on.
    pub keep_going: bool,
    /// Seconds that a build may take; 0 for any.
    pub timeout: u64,
    /// Seconds in which a build may write nothing; 0 for any.
    pub max_silent_time: u64,
    /// Bytes that a build may write; 0 for any.
    pub max_build_log_size: u64,
    /// Whether what builds write is kept.
    pub keep_build_log: bool,
    /// Whether that is compressed.
    pub compress_build_log: bool,
    /// Other machines that Nix builds on, or `@` and a file that names them.
    pub builders: String,
    /// A program that is told of what was built.
    pub post_build_hook: Option<PathBuf>,
    /// What Nix is allowed that may change.
    pub experimental_features: Vec<String>,
    /// Programs that run builders in Nix's place, the first that it takes first.
    pub external_builders: Vec<ExternalBuilder>,
    /// What is asked, before each build, what else to show.
    pub pre_build_hook: Option<PathBuf>,
    /// A program that is shown what came out otherwise when it was built again.
    pub diff_hook: Option<PathBuf>,
    /// Settings that loopbox would have to honour and cannot, with their values.
    pub unsupported: BTreeMap<&'static str, String>,
}

/// One item of `external-builders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalBuilder {
    /// The systems whose builders it runs.
    pub systems: Vec<String>,
    /// The program.
    pub program: PathBuf,
    /// Its first arguments; the description's file follows.
    #[serde(default)]
    pub args: Vec<String>,
}

/// Why the settings are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// Nix did not print them.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// What it printed is not JSON.
    #[error("'nix show-config --json' printed something that is not JSON")]
    Json(#[from] serde_json::Error),
    /// A setting asks for something that is not implemented.
    #[error("Nix's setting '{name}' is set to '{value}', which loopbox does not support")]
    Unsupported {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// Nix would build into another store, or have its daemon do so.
    #[error(
        "Nix is set to use the store '{store}' (NIX_REMOTE, or the setting 'store'), and loopbox registers what it builds in this machine's own store alone"
    )]
    OtherStore {
        /// The store.
        store: String,
    },
    /// A setting has a value of another type.
    #[error("Nix's setting '{name}' has a value that cannot be understood: {value}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: Value,
    },
}

/// All of Nix's settings as lines `name = value`, the form that the variable `NIX_CONFIG` has.
///
/// # Errors
/// When Nix does not print them.
pub(super) fn as_text(programs: &Programs) -> Result<String, SettingsError> {
    Ok(String::from_utf8_lossy(&show(programs, None)?).into_owned())
}

/// `nix show-config` has been called `nix config show` since 2.20, and is gone from later versions.
fn show(programs: &Programs, form: Option<&str>) -> Result<Vec<u8>, CommandError> {
    let ask = |words: &[&str]| {
        let all = ["--extra-experimental-features", "nix-command"].iter().chain(words).copied().chain(form);
        programs.ask("nix", all.map(Into::into).collect::<Vec<_>>())
    };
    match ask(&["config", "show"]) {
        Err(CommandError::Failed { .. }) => ask(&["show-config"]),
        other => other,
    }
}

impl Settings {
    /// Asks Nix.
    pub(super) fn ask(programs: &Programs) -> Result<Settings, SettingsError> {
        let printed = show(programs, Some("--json"))?;
        let version = programs.ask("nix", ["--version".into()])?;
        Settings::read(
            &Printed(serde_json::from_slice(&printed)?),
            version_in(&String::from_utf8_lossy(&version)),
        )
    }

    /// Reads what a Nix of some version has told in the words of its configuration files.
    pub(super) fn of_texts(
        texts: &BTreeMap<String, String>,
        version: (u32, u32),
    ) -> Result<Settings, SettingsError> {
        Settings::read(&Printed::of_texts(texts), version)
    }

    /// Makes sure that nothing is set which could only be ignored.
    ///
    /// # Errors
    /// The first such setting.
    pub fn check_supported(&self) -> Result<(), SettingsError> {
        match self.unsupported.iter().next() {
            None => Ok(()),
            Some((name, value)) => Err(SettingsError::Unsupported { name, value: value.clone() }),
        }
    }

    /// Makes sure that what is built can be registered: by somebody who may write to the store's database.
    ///
    /// # Errors
    /// When Nix's programs use another store, or a daemon.
    pub fn check_store(&self) -> Result<(), SettingsError> {
        match self.store.as_str() {
            // For root, the automatic choice is the machine's own store without a daemon.
            "" | "auto" | "local" => Ok(()),
            other => Err(SettingsError::OtherStore { store: other.into() }),
        }
    }

    /// Whether Nix builds on other machines.
    #[must_use]
    pub fn has_builders(&self) -> bool {
        let named = |text: &str| text.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#'));
        match self.builders.trim().strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).is_ok_and(|text| named(&text)),
            None => named(&self.builders),
        }
    }

    /// The external builder that Nix leaves builders of this system to.
    #[must_use]
    pub fn external_builder(&self) -> Option<&ExternalBuilder> {
        self.external_builders.iter().find(|builder| builder.systems.contains(&self.system))
    }

    fn read(settings: &Printed, version: (u32, u32)) -> Result<Settings, SettingsError> {
        Ok(Settings {
            version,
            build_users_group: settings.text("build-users-group")?.unwrap_or_default(),
            sandbox_paths: settings.words("sandbox-paths")?,
            allowed_impure_host_deps: settings.words("allowed-impure-host-deps")?,
            cores: settings.number("cores")?.unwrap_or(0),
            max_jobs: settings.number("max-jobs")?.unwrap_or(1),
            store: settings.text("store")?.unwrap_or_default(),
            secret_key_files: settings.words("secret-key-files")?.into_iter().map(PathBuf::from).collect(),
            sync_files: settings.flag("sync-before-registering")?.unwrap_or(false)
                || settings.flag("fsync-store-paths")?.unwrap_or(false),
            sync_metadata: settings.flag("fsync-metadata")?.unwrap_or(true),
            use_sqlite_wal: settings.flag("use-sqlite-wal")?.unwrap_or(true),
            substituters: settings.words("substituters")?,
            system: settings.text("system")?.unwrap_or_default(),
            extra_platforms: settings.words("extra-platforms")?,
            system_features: settings.words("system-features")?,
            build_dir: settings.path("build-dir")?,
            sandbox_build_dir: settings.path("sandbox-build-dir")?.unwrap_or_else(|| "/build".into()),
            sandbox_dev_shm_size: settings.text("sandbox-dev-shm-size")?.filter(|size| !size.is_empty()),
            filter_syscalls: settings.flag("filter-syscalls")?.unwrap_or(true),
            impersonate_linux_26: settings.flag("impersonate-linux-26")?.unwrap_or(false),
            sandbox_relaxed: settings.value("sandbox").and_then(Value::as_str) == Some("relaxed"),
            ssl_cert_file: settings.path("ssl-cert-file")?,
            log_lines: settings.number("log-lines")?.unwrap_or(10),
            keep_failed: settings.flag("keep-failed")?.unwrap_or(false),
            keep_going: settings.flag("keep-going")?.unwrap_or(false),
            timeout: settings.number("timeout")?.unwrap_or(0),
            max_silent_time: settings.number("max-silent-time")?.unwrap_or(0),
            max_build_log_size: settings.number("max-build-log-size")?.unwrap_or(0),
            compress_build_log: settings.flag("compress-build-log")?.unwrap_or(true),
            keep_build_log: settings.flag("keep-build-log")?.unwrap_or(true),
            experimental_features: settings.names("experimental-features"),
            external_builders: settings.external_builders(),
            builders: settings.text("builders")?.unwrap_or_default(),
            post_build_hook: settings.path("post-build-hook")?,
            pre_build_hook: settings.path("pre-build-hook")?,
            diff_hook: settings
                .path("diff-hook")?
                .filter(|_| settings.flag("run-diff-hook").ok().flatten() == Some(true)),
            unsupported: UNSUPPORTED
                .into_iter()
                .filter_map(|name| Some((name, settings.unusual(name)?)))
                .collect(),
        })
    }
}

/// The version of the Nix that has started this process: its programs are all the same one. `(0, 0)` when it is not known.
#[must_use]
pub fn version_of_starter() -> (u32, u32) {
    use std::os::unix::process::CommandExt;
    let program = match cfg!(target_os = "linux") {
        true => PathBuf::from(format!("/proc/{}/exe", std::os::unix::process::parent_id())),
        false => "nix".into(),
    };
    let printed = std::process::Command::new(program).arg0("nix").arg("--version").output();
    printed.map_or((0, 0), |printed| version_in(&String::from_utf8_lossy(&printed.stdout)))
}

/// The version that Lix has grown out of, whose own numbers go on otherwise.
const LIX: (u32, u32) = (2, 18);

/// The version in `nix (Nix) 2.8.0`; `(0, 0)`, the oldest of all, when there is none.
fn version_in(line: &str) -> (u32, u32) {
    if line.contains("Lix") {
        return LIX;
    }
    let word = line.split_whitespace().last().unwrap_or_default();
    let digits = |part: &str| part.bytes().take_while(u8::is_ascii_digit).count();
    let mut numbers = word.split('.').map(|part| part[..digits(part)].parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(printed: &[u8]) -> Result<Settings, SettingsError> {
        Settings::read(&Printed(serde_json::from_slice(printed)?), (2, 8))
    }

    #[test]
    fn settings_are_read_with_defaults_for_what_a_version_does_not_have() {
        let printed = br#"{"build-users-group":{"value":"nixbld"},"sandbox-paths":{"value":["/bin/sh=/b?"]},
            "cores":{"value":2},"substituters":{"value":[]},"system":{"value":"x86_64-linux"},"build-dir":{"value":null}}"#;
        let settings = read(printed).unwrap();
        assert_eq!(settings.build_users_group, "nixbld");
        assert_eq!(settings.sandbox_paths, ["/bin/sh=/b?"]);
        assert_eq!((settings.cores, settings.max_jobs, settings.log_lines), (2, 1, 10));
        assert_eq!((settings.build_dir, settings.sandbox_build_dir), (None, "/build".into()));
    }

    #[test]
    fn sandbox_paths_of_newer_versions_become_the_same_words() {
        let printed = br#"{"sandbox-paths":{"value":{"/bin/sh":{"source":"/b","optional":true}}}}"#;
        assert_eq!(read(printed).unwrap().sandbox_paths, ["/bin/sh=/b?"]);
    }

    #[test]
    fn texts_of_a_configuration_file_mean_the_same() {
        let texts = [
            ("cores", "2"),
            ("max-jobs", "3"),
            ("keep-failed", "true"),
            ("sandbox", "relaxed"),
            ("sandbox-paths", "/bin/sh=/b? /etc/x"),
            ("experimental-features", "nix-command flakes"),
            ("build-dir", ""),
            ("repeat", "0"),
            ("impure-env", ""),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let settings = Settings::of_texts(&texts, (2, 34)).unwrap();
        assert_eq!((settings.cores, settings.max_jobs, settings.keep_failed), (2, 3, true));
        assert_eq!((settings.sandbox_relaxed, settings.build_dir.as_ref()), (true, None));
        assert_eq!(settings.sandbox_paths, ["/bin/sh=/b?", "/etc/x"]);
        assert_eq!(settings.experimental_features, ["nix-command", "flakes"]);
        settings.check_supported().unwrap();
    }

    #[test]
    fn settings_that_could_only_be_ignored_are_refused() {
        let off = br#"{"repeat":{"value":0},"impure-env":{"value":{}}}"#;
        read(off).unwrap().check_supported().unwrap();
        let on = br#"{"repeat":{"value":1}}"#;
        let error = read(on).unwrap().check_supported().expect_err("refused");
        assert_eq!(error.to_string(), "Nix's setting 'repeat' is set to '1', which loopbox does not support");
    }

    #[test]
    fn only_the_machine_s_own_store_is_built_into() {
        let with = |store: &str| Settings { store: store.into(), ..Settings::default() }.check_store();
        ["", "auto", "local"].into_iter().for_each(|store| with(store).unwrap());
        let others = ["daemon", "unix:///x", "ssh-ng://host", "/elsewhere", "local:///x", "local://?root=/x"];
        for store in others {
            assert!(matches!(with(store), Err(SettingsError::OtherStore { .. })), "{store}");
        }
    }

    #[test]
    fn features_are_names_or_numbers() {
        let features = |printed: &[u8]| read(printed).unwrap().experimental_features;
        assert_eq!(features(br#"{"experimental-features":{"value":[3]}}"#), [""; 0]);
        assert_eq!(features(br#"{"experimental-features":{"value":["flakes"]}}"#), ["flakes"]);
    }

    #[test]
    fn the_version_is_the_last_word() {
        assert_eq!(version_in("nix (Nix) 2.34.8\n"), (2, 34));
        assert_eq!(version_in("nix (Lix, like Nix) 2.93.3\n"), LIX);
        assert_eq!(version_in("nix (Nix) 2.36pre20260822_88b09c64\n"), (2, 36));
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let error = read(br#"{"cores":{"value":"many"}}"#).expect_err("not a number");
        assert_eq!(
            error.to_string(),
            "Nix's setting 'cores' has a value that cannot be understood: \"many\""
        );
    }
}
