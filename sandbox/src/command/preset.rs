//! Views that most programs run in, each by one word.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{BindSpec, Declaration, Link};
use crate::entry::system;

/// Directories of a system's programs and libraries, as far as it has them; links to others are links in the view too.
#[cfg(not(target_os = "macos"))]
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// What a Mac has besides what every view there shows.
#[cfg(target_os = "macos")]
const SYSTEM: [&str; 3] = ["/usr", "/bin", "/sbin"];

/// Files and directories of /etc that programs read and that say nothing of whoever calls: the loader's, names of services,
/// time, certificates, where alternatives lead.
const ETC: [&str; 28] = [
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "ca-certificates.conf",
    "debian_version",
    "default/locale",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.conf",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki",
    "profile",
    "profile.d",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
];

/// What names of directories in /etc begin and end with that Java reads, of whatever version.
const JAVA: (&str, &str) = ("java-", "-openjdk");

/// Toolchains that people have in their home directory.
const TOOLCHAINS: [&str; 6] = [".cargo/bin", ".rustup", ".local/bin", ".nvm", ".pyenv", "go/bin"];

/// What compilers on a Mac are part of.
const MAC_TOOLS: &str = "/Library/Developer/CommandLineTools";

/// What Nix shows everybody: the store, and profiles that lead into it.
const NIX: [&str; 5] =
    ["/nix/store", "/nix/var/nix/profiles", "/run/current-system", "/etc/profiles/per-user", "/etc/static"];

/// A view by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The system's own programs and libraries, and what these read in /etc.
    Base,
    /// That, toolchains of the home directory, and the current directory, which the command may write and where it starts.
    Dev,
    /// The Nix store, profiles, a shell, and what programs read in /etc.
    Nix,
}

/// A word that is none of these.
#[derive(Debug, thiserror::Error)]
#[error("the presets are {}", Preset::ALL.map(|preset| preset.to_string()).join(", "))]
pub struct UnknownPreset;

/// Where presets look.
#[derive(Clone, Copy, Debug)]
pub struct PresetContext<'a> {
    /// The machine's root.
    pub root: &'a Path,
    /// The caller's home directory.
    pub home: Option<&'a Path>,
    /// The caller's current directory.
    pub current: Option<&'a Path>,
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Preset::Base => "base",
            Preset::Dev => "dev",
            Preset::Nix => "nix",
        })
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(word: &str) -> Result<Preset, UnknownPreset> {
        Preset::ALL.into_iter().find(|preset| preset.to_string() == word).ok_or(UnknownPreset)
    }
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 3] = [Preset::Base, Preset::Dev, Preset::Nix];

    /// What it declares on a machine. What that does not have is left out.
    #[must_use]
    pub fn declaration(self, context: PresetContext<'_>) -> Declaration {
        let mut declared = Declaration::default();
        match self {
            Preset::Base => context.show_system(&mut declared, &SYSTEM),
            Preset::Dev => {
                context.show_system(&mut declared, &SYSTEM);
                context.show_tools(&mut declared);
            }
            Preset::Nix => {
                context.show_system(&mut declared, &[]);
                for path in ["/bin/sh", "/usr/bin/env"].iter().chain(&NIX) {
                    context.show(&mut declared, Path::new(path));
                }
                if let Some(home) = context.home {
                    context.show(&mut declared, &home.join(".nix-profile"));
                }
            }
        }
        declared
    }
}

impl PresetContext<'_> {
    fn show_system(&self, declared: &mut Declaration, directories: &[&str]) {
        for directory in directories {
            self.show(declared, Path::new(directory));
        }
        let java = self.java();
        for name in ETC.iter().map(Path::new).chain(java.iter().map(PathBuf::as_path)) {
            let at = Path::new("/etc").join(name);
            let at = if cfg!(target_os = "macos") { system::beyond_links(&at) } else { at };
            if self.has(&at) {
                // What leads elsewhere is shown as what it leads to: that may lie where nothing else is shown.
                declared.ro_try.push(BindSpec::same(at));
            }
        }
    }

    /// The names of Java's directories in /etc, in their order.
    fn java(&self) -> Vec<PathBuf> {
        let (begins, ends) = JAVA;
        let names = self.on_host(Path::new("/etc")).read_dir().into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let java =
            names.filter(|name| name.strip_prefix(begins).is_some_and(|version| version.ends_with(ends)));
        let mut java: Vec<PathBuf> = java.map(PathBuf::from).collect();
        java.sort();
        java
    }

    fn show_tools(&self, declared: &mut Declaration) {
        if cfg!(target_os = "macos") {
            self.show(declared, Path::new(MAC_TOOLS));
        }
        if let Some(home) = self.home {
            for name in TOOLCHAINS {
                self.show(declared, &home.join(name));
            }
            let rustup = home.join(".rustup");
            if self.has(&rustup) {
                // The command's HOME is another.
                let mut word = std::ffi::OsString::from("RUSTUP_HOME=");
                word.push(rustup);
                declared.env.push(word);
            }
        }
        if let Some(current) = self.current {
            declared.rw.push(BindSpec::same(current.into()));
            declared.chdir = Some(current.into());
        }
    }

    /// A directory or file as itself, a link as a link.
    fn show(&self, declared: &mut Declaration, at: &Path) {
        match self.on_host(at).read_link() {
            Ok(target) => declared.symlink.push(Link { target, at: at.into() }),
            Err(_) if self.has(at) => declared.ro_try.push(BindSpec::same(at.into())),
            Err(_) => {}
        }
    }

    fn has(&self, at: &Path) -> bool {
        self.on_host(at).exists()
    }

    fn on_host(&self, at: &Path) -> PathBuf {
        self.root.join(at.strip_prefix("/").unwrap_or(at))
    }
}

// What a machine like Debian has; a Mac has other directories.
#[cfg(test)]
#[cfg(not(target_os = "macos"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// What a preset says on a machine like Debian, as flags.
    fn flags(preset: Preset) -> String {
        let machine = tempfile::tempdir().unwrap();
        let root = machine.path();
        for directory in [
            "usr/bin",
            "etc/java-25-openjdk",
            "etc/java-8-openjdk",
            "etc/javascript",
            "etc/ssl/certs",
            "etc/ssh",
            "home/me/.rustup",
            "home/me/.ssh",
            "nix/store",
            "lib32",
        ] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for file in ["etc/ld.so.cache", "etc/shadow", "etc/passwd"] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink("usr/bin", root.join("bin")).unwrap();
        symlink("/nix/var/profile", root.join("home/me/.nix-profile")).unwrap();
        let context =
            PresetContext { root, home: Some("/home/me".as_ref()), current: Some("/home/me/src".as_ref()) };
        let flags = preset.declaration(context).flags();
        flags
            .into_iter()
            .map(|(flag, value)| format!("{flag} {}\n", value.unwrap_or_default().display()))
            .collect()
    }

    #[test]
    fn base_shows_programs_and_what_they_read() {
        insta::assert_snapshot!(flags(Preset::Base), @"
        --ro-try /usr
        --ro-try /lib32
        --ro-try /etc/ld.so.cache
        --ro-try /etc/ssl/certs
        --ro-try /etc/java-25-openjdk
        --ro-try /etc/java-8-openjdk
        --symlink usr/bin:/bin
        ");
    }

    #[test]
    fn dev_adds_toolchains_and_the_directory_where_it_is_called() {
        insta::assert_snapshot!(flags(Preset::Dev), @"
        --ro-try /usr
        --ro-try /lib32
        --ro-try /etc/ld.so.cache
        --ro-try /etc/ssl/certs
        --ro-try /etc/java-25-openjdk
        --ro-try /etc/java-8-openjdk
        --ro-try /home/me/.rustup
        --rw /home/me/src
        --symlink usr/bin:/bin
        --env RUSTUP_HOME=/home/me/.rustup
        --chdir /home/me/src
        ");
    }

    #[test]
    fn nix_shows_the_store_and_no_system() {
        insta::assert_snapshot!(flags(Preset::Nix), @"
        --ro-try /etc/ld.so.cache
        --ro-try /etc/ssl/certs
        --ro-try /etc/java-25-openjdk
        --ro-try /etc/java-8-openjdk
        --ro-try /nix/store
        --symlink /nix/var/profile:/home/me/.nix-profile
        ");
    }

    #[test]
    fn each_is_read_again_from_its_word() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse::<Preset>().unwrap(), preset);
        }
        assert_eq!("all".parse::<Preset>().unwrap_err().to_string(), "the presets are base, dev, nix");
    }
}
