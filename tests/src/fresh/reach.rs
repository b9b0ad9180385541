//! How this machine reaches the package registries, for a root that has none of its files: names, certificates, proxies,
//! mirrors. Nothing of it is in the repository, and no secret is carried over.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{command, quiet};
use crate::lab::apt;

/// Files of the machine, each copied if it is there.
const FILES: [&str; 6] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/root/.pip/pip.conf",
    "/root/.config/pip/pip.conf",
    "/root/.cargo/config.toml",
];
/// Certificates that somebody has added to Debian's, and the bundle of all.
const ADDED_CERTIFICATES: &str = "/usr/local/share/ca-certificates";
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Variables that say where registries are, and through what.
const NAMES: [&str; 9] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "ssl_cert_file",
    "ssl_cert_dir",
    "requests_ca_bundle",
    "curl_ca_bundle",
    "nix_ssl_cert_file",
];
/// Families of such variables.
const PREFIXES: [&str; 5] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_", "PIP_"];
/// How secrets are called among them.
const SECRETS: [&str; 3] = ["TOKEN", "PASSWORD", "CREDENTIAL"];

/// The variables of this process that say how registries are reached.
pub fn environment() -> Vec<(String, String)> {
    env::vars().filter(|(name, _)| is_carried(name)).collect()
}

fn is_carried(name: &str) -> bool {
    let is_secret = SECRETS.iter().any(|word| name.contains(word));
    let is_known = NAMES.contains(&name.to_ascii_lowercase().as_str());
    !is_secret && (is_known || PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// Puts all that into the root.
pub fn carry_over(root: &Path, environment: &[(String, String)]) -> Result<()> {
    for file in FILES {
        copy(Path::new(file), root)?;
    }
    if Path::new(ADDED_CERTIFICATES).exists() {
        quiet(command("cp", ["-r", ADDED_CERTIFICATES]).arg(root.join("usr/local/share")))?;
        quiet(command("chroot", [root]).arg("update-ca-certificates"))?;
    }
    copy(Path::new(BUNDLE), root)?;
    for (_, value) in environment.iter().filter(|(_, value)| value.starts_with('/')) {
        copy(Path::new(value), root)?;
    }
    let lines: String = apt::acquire()?.iter().map(|line| format!("{line}\n")).collect();
    fs::write(root.join("etc/apt/apt.conf.d/90machine"), lines).context("cannot write apt's configuration")
}

/// Copies a file to the same path in the root; what is missing or no file is left out.
fn copy(file: &Path, root: &Path) -> Result<()> {
    if !file.is_file() {
        return Ok(());
    }
    let to = root.join(file.strip_prefix("/").unwrap_or(file));
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::copy(file, &to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", file.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::is_carried;

    #[test]
    fn what_reaches_registries_is_carried_over_and_no_secret() {
        for name in
            ["HTTPS_PROXY", "no_proxy", "CARGO_HTTP_CAINFO", "CARGO_SOURCE_MIRROR_REGISTRY", "PIP_INDEX_URL"]
        {
            assert!(is_carried(name), "{name}");
        }
        for name in ["HOME", "CARGO_HOME", "CARGO_REGISTRIES_OWN_TOKEN", "RUSTFLAGS", "CARGO_TARGET_DIR"] {
            assert!(!is_carried(name), "{name}");
        }
    }
}
