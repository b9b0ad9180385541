//! Setting a machine up so that Nix leaves running builders to loopbox: which files say so ([`plan`]), writing them, taking
//! them back ([`files`]), and seeing that it is so ([`prove`]). How Nix is told depends on its version ([`Route`]).

pub mod files;
pub mod prove;

use std::io;
use std::path::{Path, PathBuf};

use sandbox::daemon::SOCKET;

use crate::store::{ExternalBuilder, Settings};
use files::File;

/// The first version of Nix that has `external-builders`.
const SINCE: (u32, u32) = (2, 32);

/// Versions that forget what `nix.conf` says of their build hook, since they set it to their own after reading that; what a user's own
/// configuration says they keep, and the daemon is root (NixOS/nix#15083).
const FORGETFUL: std::ops::Range<(u32, u32)> = (2, 25)..SINCE;

/// The name of the program that older versions run as their build hook, beside the daemon's policy.
const HOOK: &str = "build-hook";

/// The group of build users whom loopbox's daemon serves without being told.
const BUILD_USERS: &str = "nixbld";

/// The unit of its socket.
pub const SOCKET_UNIT: &str = "loopbox.socket";

/// What is added to `nix.conf`: nothing is wrong if the file is not there.
const INCLUDE: &str = "!include loopbox.conf";

/// The paths of what is set up.
#[derive(Clone, Debug)]
pub struct SetupPaths {
    /// loopbox's program.
    pub loopbox: PathBuf,
    /// Where its daemon listens.
    pub socket: PathBuf,
    /// The directory of `nix.conf`.
    pub nix: PathBuf,
    /// What Nix reads besides when it is root.
    pub nix_conf_of_root: PathBuf,
    /// Where systemd looks for units of the machine's own; none where it does not run.
    pub units: Option<PathBuf>,
    /// Where it looks for those of packages: what is there already, with the same words, is not written again.
    pub units_of_packages: Vec<PathBuf>,
    /// The policy of loopbox's daemon.
    pub policy: PathBuf,
}

/// Why it cannot be planned what to write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Nix leaves builds to other machines, which it would do no more.
    #[error(
        "Nix builds on the machines of its setting 'builders' by means of its build hook, of which there is but one"
    )]
    Builders,
    /// Its configuration is made by another program.
    #[error("{path:?} is a link, so another program writes it: NixOS, nix-darwin or the like")]
    Managed {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

/// How Nix leaves running builders to loopbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By its setting `external-builders`: as its build users, for whom loopbox's daemon mounts views.
    ExternalBuilders,
    /// By its setting `build-hook`: as root.
    BuildHook,
}

impl Route {
    /// The one for this Nix.
    #[must_use]
    pub fn of(settings: &Settings) -> Route {
        if settings.version < SINCE { Route::BuildHook } else { Route::ExternalBuilders }
    }
}

/// The files to write, with their contents.
///
/// # Errors
/// Nix's configuration is not a file that can be changed, or says something that would be changed by that.
pub fn plan(places: &SetupPaths, settings: &Settings) -> Result<Vec<File>, SetupError> {
    let ours = places.nix.join("loopbox.conf");
    let mut files = vec![
        File::new(ours.clone(), nix_lines(places, settings)),
        including(&places.nix.join("nix.conf"), INCLUDE)?,
    ];
    match Route::of(settings) {
        Route::BuildHook if settings.has_builders() => return Err(SetupError::Builders),
        Route::BuildHook => {
            files.push(File { executable: true, ..File::new(places.hook(), places.hook_script()) });
            if FORGETFUL.contains(&settings.version) {
                files.push(including(&places.nix_conf_of_root, &format!("!include {}", ours.display()))?);
            }
        }
        Route::ExternalBuilders => files.extend(of_daemon(places, settings)),
    }
    Ok(files)
}

/// What loopbox's daemon needs.
fn of_daemon(places: &SetupPaths, settings: &Settings) -> Vec<File> {
    let Some(group) = Some(&settings.build_users_group).filter(|group| !group.is_empty()) else {
        // Nix runs loopbox as root, who needs no daemon.
        return Vec::new();
    };
    let mut files = Vec::new();
    if group != BUILD_USERS {
        files.push(File::new(places.policy.clone(), format!("groups = [{group:?}]\n")));
    }
    if let Some(units) = &places.units {
        let service = include_str!("../units/loopbox.service");
        let service = service.replace("/usr/local/bin/loopbox", &places.loopbox.to_string_lossy());
        let socket =
            include_str!("../units/loopbox.socket").replace(SOCKET, &places.socket.to_string_lossy());
        let units = [("loopbox.service", service), (SOCKET_UNIT, socket)]
            .map(|(name, contents)| File::new(units.join(name), contents));
        files.extend(units.into_iter().filter(|unit| !places.is_installed(unit)));
    }
    files
}

impl SetupPaths {
    /// Whether a package has brought a unit as it is to be.
    fn is_installed(&self, unit: &File) -> bool {
        let name = unit.path.file_name().unwrap_or_default();
        let mut packages = self.units_of_packages.iter().map(|directory| directory.join(name));
        packages.any(|path| std::fs::read(path).is_ok_and(|there| there == unit.contents.as_bytes()))
    }

    /// Whether there is a unit of this name, of the machine's own or of a package.
    #[must_use]
    pub fn has_unit(&self, name: &str) -> bool {
        let mut directories = self.units.iter().chain(&self.units_of_packages);
        directories.any(|directory| directory.join(name).exists())
    }

    fn hook(&self) -> PathBuf {
        self.policy.with_file_name(HOOK)
    }

    /// Nix gives its build hook no words of ours.
    fn hook_script(&self) -> String {
        let program = self.loopbox.to_string_lossy();
        let program = shlex::try_quote(&program).unwrap_or_default();
        format!("#!/bin/sh\nexec {program} build-hook \"$@\"\n")
    }
}

/// What has to be in Nix's configuration, whoever writes it.
#[must_use]
pub fn nix_lines(places: &SetupPaths, settings: &Settings) -> String {
    let lines = match Route::of(settings) {
        Route::BuildHook => format!("build-hook = {}\n", places.hook().display()),
        Route::ExternalBuilders => external_builders(places, settings),
    };
    format!("# Written by 'loopbox setup'; 'loopbox setup --undo' takes it back.\n{lines}")
}

fn external_builders(SetupPaths { loopbox, socket, .. }: &SetupPaths, settings: &Settings) -> String {
    // What Nix's own sandbox shows of the machine: a shell at least.
    let shown = settings.sandbox_paths.iter().cloned();
    let elsewhere =
        (socket != Path::new(SOCKET)).then(|| ["--socket".to_owned(), socket.display().to_string()]);
    let ours = ExternalBuilder {
        systems: [&settings.system].into_iter().chain(&settings.extra_platforms).cloned().collect(),
        program: loopbox.clone(),
        args: ["external-builder".to_owned()]
            .into_iter()
            .chain(elsewhere.into_iter().flatten())
            .chain(shown)
            .collect(),
    };
    let others =
        settings.external_builders.iter().filter(|other| other.program.file_name() != loopbox.file_name());
    let builders: Vec<&ExternalBuilder> = std::iter::once(&ours).chain(others).collect();
    let builders = serde_json::to_string(&builders).unwrap_or_default();
    format!("extra-experimental-features = external-builders\nexternal-builders = {builders}\n")
}

/// A configuration file as it is, with a line that includes another one.
fn including(nix_conf: &Path, line: &str) -> Result<File, SetupError> {
    let unreadable = |source| SetupError::Read { path: nix_conf.into(), source };
    let mut contents = match nix_conf.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => return Err(SetupError::Managed { path: nix_conf.into() }),
        Ok(_) => std::fs::read_to_string(nix_conf).map_err(unreadable)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(unreadable(error)),
    };
    if !contents.lines().any(|there| there.trim() == line) {
        if !contents.is_empty() && !contents.ends_with('\n') {
            contents.push('\n');
        }
        contents += line;
        contents.push('\n');
    }
    Ok(File { line: Some(line.into()), ..File::new(nix_conf.into(), contents) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            version: (2, 34),
            system: "x86_64-linux".into(),
            build_users_group: "nixbld".into(),
            sandbox_paths: vec!["/bin/sh=/usr/bin/busybox".into()],
            ..Settings::default()
        }
    }

    fn places(directory: &Path) -> SetupPaths {
        SetupPaths {
            loopbox: "/opt/loopbox".into(),
            socket: SOCKET.into(),
            nix: directory.into(),
            nix_conf_of_root: directory.join("root/nix.conf"),
            units: Some("/units".into()),
            units_of_packages: vec![directory.join("packages")],
            policy: "/policy.toml".into(),
        }
    }

    #[test]
    fn what_was_configured_stays_and_is_added_to_once() {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("nix.conf");
        std::fs::write(&conf, "cores = 2").unwrap();
        let first = plan(&places(directory.path()), &settings()).unwrap();
        assert_eq!(first[1].contents, "cores = 2\n!include loopbox.conf\n");
        std::fs::write(&conf, &first[1].contents).unwrap();
        assert_eq!(plan(&places(directory.path()), &settings()).unwrap(), first);
        let names: Vec<_> = first.iter().map(|file| file.path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["loopbox.conf", "nix.conf", "loopbox.service", "loopbox.socket"]);
        assert!(first[2].contents.contains("ExecStart=/opt/loopbox daemon\n"), "{}", first[2].contents);
    }

    #[test]
    fn nix_is_told_who_builds_before_others_that_it_was_told_of() {
        let mut settings = settings();
        let other = |program: &str| ExternalBuilder {
            systems: vec!["aarch64-linux".into()],
            program: program.into(),
            args: Vec::new(),
        };
        settings.external_builders = vec![other("/usr/bin/determinate-nixd"), other("/old/loopbox")];
        insta::assert_snapshot!(nix_lines(&places("/".as_ref()), &settings), @r#"
        # Written by 'loopbox setup'; 'loopbox setup --undo' takes it back.
        extra-experimental-features = external-builders
        external-builders = [{"systems":["x86_64-linux"],"program":"/opt/loopbox","args":["external-builder","/bin/sh=/usr/bin/busybox"]},{"systems":["aarch64-linux"],"program":"/usr/bin/determinate-nixd","args":[]}]
        "#);
    }

    #[test]
    fn a_socket_elsewhere_is_named_everywhere() {
        let directory = tempfile::tempdir().unwrap();
        let places = SetupPaths { socket: "/elsewhere".into(), ..places(directory.path()) };
        let files = plan(&places, &settings()).unwrap();
        assert!(files[0].contents.contains(r#"["external-builder","--socket","/elsewhere","#), "{files:?}");
        assert!(files[3].contents.contains("ListenStream=/elsewhere\n"), "{files:?}");
    }

    #[test]
    fn units_of_a_package_are_written_only_if_they_say_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let places = places(directory.path());
        let packages = &places.units_of_packages[0];
        std::fs::create_dir(packages).unwrap();
        let first = plan(&places, &settings()).unwrap();
        std::fs::write(packages.join("loopbox.socket"), &first[3].contents).unwrap();
        std::fs::write(packages.join("loopbox.service"), "[Service]\nExecStart=/old/loopbox daemon\n")
            .unwrap();
        assert_eq!(plan(&places, &settings()).unwrap(), first[..3]);
        std::fs::write(packages.join("loopbox.service"), &first[2].contents).unwrap();
        assert_eq!(plan(&places, &settings()).unwrap(), first[..2]);
        assert!(places.has_unit(SOCKET_UNIT));
    }

    #[test]
    fn another_programs_configuration_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/static/nix.conf", directory.path().join("nix.conf")).unwrap();
        let error = plan(&places(directory.path()), &settings()).unwrap_err();
        assert!(matches!(error, SetupError::Managed { .. }), "{error}");
    }

    #[test]
    fn an_older_nix_is_given_a_hook_unless_it_builds_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let places = SetupPaths { loopbox: "/opt/my loopbox".into(), ..places(directory.path()) };
        let mut settings = Settings { version: (2, 8), ..settings() };
        let files = plan(&places, &settings).unwrap();
        assert!(files[0].contents.ends_with("\nbuild-hook = /build-hook\n"), "{files:?}");
        assert_eq!(files.len(), 3, "{files:?}");
        assert_eq!((files[2].path.as_path(), files[2].executable), (Path::new("/build-hook"), true));
        assert_eq!(files[2].contents, "#!/bin/sh\nexec '/opt/my loopbox' build-hook \"$@\"\n");
        for forgetful in [(2, 25), (2, 31)] {
            settings.version = forgetful;
            let files = plan(&places, &settings).unwrap();
            assert_eq!(files[3].path, directory.path().join("root/nix.conf"));
            let include = format!("!include {}\n", directory.path().join("loopbox.conf").display());
            assert_eq!(files[3].contents, include);
        }
        settings.version = (2, 24);
        assert_eq!(plan(&places, &settings).unwrap().len(), 3);
        settings.builders = "ssh://other".into();
        assert!(matches!(plan(&places, &settings), Err(SetupError::Builders)));
        settings.builders = format!("@{}", directory.path().join("machines").display());
        plan(&places, &settings).unwrap();
        std::fs::write(directory.path().join("machines"), "ssh://other\n").unwrap();
        assert!(matches!(plan(&places, &settings), Err(SetupError::Builders)));
    }
}
