//! What people download: for each system an archive with the program and what belongs to it, packages for Debian, and the sums of all
//! files. Nothing in them says where or when they were made, so that whoever makes them has the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::command::{command, text};
use crate::lab::Lab;
use crate::lab::cargo_deb::CargoDeb;
use crate::lab::cross::{self, LINUX, Target, Toolchain};
use crate::lab::foreign::Foreign;

mod archive;
mod formula;
mod installed;
mod program;

/// The program's package.
const NAME: &str = "loopbox";
/// Its version.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Homebrew's formula.
const FORMULA: &str = "loopbox.rb";
/// What the names of archives, packages and the formula end with.
const ENDINGS: [&str; 3] = [".tar.gz", ".deb", ".rb"];
/// Where the archives' files expect to be.
const PREFIX: &str = "/usr/local";
/// The sums, as sha256sum(1) reads them.
const SUMS: &str = "SHA256SUMS";
/// Where the manifest of the program's package expects what goes into a Debian package.
const DEBIAN: &str = "target/deb";

/// Everything that it takes to make them.
pub struct Release {
    lab: Lab,
    tools: Toolchain,
    /// Of the last commit, in seconds since 1970: what all files are said to be from.
    time: String,
    /// What this machine is.
    here: Target,
    /// The program for it, which prints manual pages and completions.
    printer: PathBuf,
}

impl Release {
    /// Brings the tools, and compiles the program for this machine.
    pub fn start(lab: Lab) -> Result<Release> {
        let tools = Toolchain::bring(&lab)?;
        let time =
            text(command("git", ["log", "--max-count=1", "--format=%ct"]).current_dir(lab.checkout()))?;
        let here = LINUX.into_iter().find(|target| target.triple.starts_with(std::env::consts::ARCH));
        let here = here.context("loopbox is made for no processor such as this machine's")?;
        let printer = program::make(&lab, &tools, here)?;
        Ok(Release { lab, tools, time, here, printer })
    }

    /// Makes this machine's package for Debian in a directory; answers its path.
    pub fn debian_package(&self, to: &Path) -> Result<PathBuf> {
        self.debian(self.here, &self.printer, to)
    }

    /// Makes all files for a target in a directory; answers their paths.
    pub fn make(&self, target: Target, to: &Path) -> Result<Vec<PathBuf>> {
        let program = program::make(&self.lab, &self.tools, target)?;
        if !target.is_mac() && target != self.here {
            self.start_foreign(target, &program)?;
        }
        let mut made = vec![self.archive(target, &program, to)?];
        if !target.is_mac() {
            made.push(self.debian(target, &program, to)?);
        }
        Ok(made)
    }

    /// Has a program for another processor, which an emulator runs, print what this machine's prints.
    fn start_foreign(&self, target: Target, program: &Path) -> Result<()> {
        let foreign = Foreign::bring(&self.lab)?;
        for words in [&["--version"][..], &["man"], &["run", "--help"], &["completions", "zsh"]] {
            let here = text(&mut command(&self.printer, words))?;
            let there = text(foreign.run(target.processor(), program).args(words))?;
            ensure!(
                here == there,
                "{} prints otherwise with {words:?} than this machine's",
                program.display()
            );
        }
        Ok(())
    }

    fn archive(&self, target: Target, program: &Path, to: &Path) -> Result<PathBuf> {
        let name = format!("{NAME}-{VERSION}-{}", target.triple);
        let work = self.lab.directory("dist")?;
        let root = work.join("root");
        installed::install(&self.lab, target, program, &self.printer, &root, PREFIX)?;
        let tree = work.join(&name);
        crate::lab::remove(&tree)?;
        fs::rename(root.join(PREFIX.trim_start_matches('/')), &tree)?;
        let archive = to.join(archive_name(target.triple));
        archive::pack(&work, &name, &self.time, &archive)?;
        crate::lab::remove(&tree)?;
        Ok(archive)
    }

    fn debian(&self, target: Target, program: &Path, to: &Path) -> Result<PathBuf> {
        let root = self.lab.checkout().join(DEBIAN);
        installed::install(&self.lab, target, program, &self.printer, &root, "/usr")?;
        let mut pack = CargoDeb::bring(&self.lab)?.pack(NAME, target.triple, &self.time);
        let package = text(pack.current_dir(self.lab.checkout()).arg("--output").arg(to))?;
        crate::lab::remove(&root)?;
        Ok(package.into())
    }
}

/// Makes the directory for the files, and removes from it what an earlier run has put there.
pub fn empty(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    files(directory)?.iter().chain([&directory.join(SUMS)]).try_for_each(|path| crate::lab::remove(path))
}

/// Writes the sums of all files in a directory, and answers with them.
pub fn write_sums(directory: &Path) -> Result<String> {
    let mut sums = String::new();
    for file in files(directory)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let contents = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        sums += &format!("{}  {name}\n", HEXLOWER.encode(&Sha256::digest(contents)));
    }
    let path = directory.join(SUMS);
    fs::write(&path, &sums).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(sums)
}

/// Writes Homebrew's formula for archives of which these are the sums, once a repository has released them; answers its path.
pub fn write_formula(directory: &Path, repository: &str, sums: &str) -> Result<PathBuf> {
    let by_target = cross::all().filter_map(|Target { triple, .. }| {
        let name = format!("  {}", archive_name(triple));
        Some((triple, sums.lines().find_map(|line| line.strip_suffix(&name))?.to_owned()))
    });
    let text = formula::formula(repository, VERSION, &by_target.collect())?;
    let path = directory.join(FORMULA);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn archive_name(triple: &str) -> String {
    format!("{NAME}-{VERSION}-{triple}.tar.gz")
}

/// The files for download in a directory, in the order of their names; nothing else is touched there.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.starts_with(NAME) && ENDINGS.iter().any(|ending| name.ends_with(ending));
        if is_ours && entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
