//! Words that say what a command is shown, and how it starts there.

use std::ffi::OsString;
use std::path::PathBuf;

use builder::store::Store;
use builder::store_path::StorePath;
use clap::builder::{OsStringValueParser, TypedValueParser};
use nix::sys::stat::{self, Mode};
use sandbox::Scratches;
use sandbox::command::{BindSpec, Declaration, Link, Request};
use sandbox::conditions::Conditions;
use sandbox::jail::NO_ID;
use sandbox::view::{Access, Entry, Owner};

use crate::error::CommandError;

/// Words of every command that runs another one in a view.
#[derive(Debug, clap::Args)]
pub struct DeclaredArguments {
    /// Show a host file or directory, read-only; at the same path unless another is given. What changes on the host is
    /// seen within a second or when a file is opened; store paths are taken to never change
    #[arg(long, value_name = "SRC[:AT]")]
    ro: Vec<BindSpec>,
    /// The same, if it exists
    #[arg(long, value_name = "SRC[:AT]")]
    ro_try: Vec<BindSpec>,
    /// Show a host file or directory that the command may write
    #[arg(long, value_name = "SRC[:AT]")]
    rw: Vec<BindSpec>,
    /// A symbolic link, as in usr/bin:/bin
    #[arg(long, value_name = "TARGET:AT", value_parser = OsStringValueParser::new().try_map(Link::try_from))]
    symlink: Vec<Link>,
    /// Show a path of the Nix store and all that it needs
    #[arg(long, value_name = "PATH")]
    closure: Vec<PathBuf>,
    /// Show a host program with its loader, its libraries and its interpreter; a name is looked up in PATH. They are
    /// taken not to change while the command runs
    #[arg(long, value_name = "PROGRAM")]
    with: Vec<PathBuf>,
    /// An empty directory that the command may write, removed afterwards
    #[arg(long, value_name = "AT")]
    tmpfs: Vec<PathBuf>,
    /// An empty directory that the command may not write, with the owner and the mode that this machine's has there
    #[arg(long, value_name = "AT")]
    dir: Vec<PathBuf>,
    /// A variable of the environment; without a value, loopbox's own. The command has HOME=/tmp and loopbox's own PATH
    /// (as far as its directories are in the view), LANG, LANGUAGE, LC_*, TZ, TERM, COLORTERM and NO_COLOR
    #[arg(long, value_name = "NAME[=VALUE]", visible_alias = "setenv")]
    env: Vec<OsString>,
    /// Give the command no variables but those named with --env
    #[arg(long, visible_alias = "clearenv", conflicts_with = "preserve_env")]
    clear_env: bool,
    /// Give the command all of loopbox's environment, as bwrap does, passwords and keys in it too
    #[arg(long)]
    preserve_env: bool,
    /// User to run as; without it, the one who called sudo, or else whoever calls
    #[arg(long, value_parser = clap::value_parser!(u32).range(..i64::from(NO_ID)))]
    uid: Option<u32>,
    /// Group to run as
    #[arg(long, value_parser = clap::value_parser!(u32).range(..i64::from(NO_ID)))]
    gid: Option<u32>,
    /// Let the command use this machine's network
    #[arg(long, visible_alias = "share-net")]
    net: bool,
    /// Name of the machine that the command sees [default: localhost]
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
}

impl DeclaredArguments {
    /// What they say, but for where the command starts.
    pub fn declaration(&self) -> Declaration {
        Declaration {
            with: self.with.clone(),
            closure: self.closure.clone(),
            ro: self.ro.clone(),
            ro_try: self.ro_try.clone(),
            rw: self.rw.clone(),
            symlink: self.symlink.clone(),
            tmpfs: self.tmpfs.clone(),
            dir: self.dir.clone(),
            env: self.env.clone(),
            preserve_env: self.preserve_env,
            clear_env: self.clear_env,
            chdir: None,
            net: self.net,
            hostname: self.hostname.clone(),
        }
    }

    /// What is asked for with them. The store says what a closure is.
    ///
    /// # Errors
    /// A path of a closure is none of the store's, or the store does not know it.
    pub fn request(&self, declared: Declaration, command: &[OsString]) -> Result<Request, CommandError> {
        let store = Store::from_environment();
        Ok(Request {
            closure: closure(&declared.closure, &store)?,
            declared,
            whole_machine: false,
            scratches: Scratches::default(),
            console: None,
            user: self.user(),
            umask: umask(),
            immutable: store.directory().into(),
            command: command.to_vec(),
            conditions: Conditions::default(),
        })
    }

    /// Under sudo, the user who called it; its numbers are sudo's own word.
    fn user(&self) -> Owner {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let uid = self.uid.or_else(|| number("SUDO_UID")).unwrap_or_else(|| nix::unistd::getuid().as_raw());
        let by_uid = || if self.uid.is_some() { Some(uid) } else { number("SUDO_GID") };
        let gid = self.gid.or_else(by_uid).unwrap_or_else(|| nix::unistd::getgid().as_raw());
        Owner { uid, gid }
    }
}

/// That of whoever calls.
#[allow(clippy::useless_conversion, reason = "mode_t has 16 bits on macOS")]
fn umask() -> u32 {
    // To ask for it is to set it (umask(2)).
    let own = stat::umask(Mode::from_bits_truncate(0o077));
    stat::umask(own);
    own.bits().into()
}

fn closure(paths: &[PathBuf], store: &Store) -> Result<Vec<Entry>, CommandError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let root = |path: &PathBuf| StorePath::containing(path, store.directory());
    let roots = paths.iter().map(root).collect::<Result<_, _>>()?;
    let graft = |path: StorePath| {
        let at = store.locate(&path);
        Entry::Graft { source: at.clone(), at, access: Access::Fixed, optional: false }
    };
    Ok(store.closure(&roots)?.into_iter().map(graft).collect())
}
