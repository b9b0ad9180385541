//! A browser without a window and without a network, which tells what a page asked for and complained of.

pub mod devtools;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::remove;
use crate::command::command;

/// The browser.
pub const PROGRAM: &str = "chromium-headless-shell";

/// Milliseconds of the page's own clock until its picture is taken.
const PATIENCE: u32 = 2000;

/// Seconds after which a browser that hangs is ended; a page takes one.
const LIMIT: &str = "60";

/// The word in the browser's log of what a page writes to its console, errors included.
const CONSOLE: &str = ":CONSOLE:";

/// What a page did beside being shown.
#[derive(Debug, Default)]
pub struct Noticed {
    /// Lines in its console.
    pub console: Vec<String>,
    /// Addresses that it asked for.
    pub requests: Vec<String>,
}

/// Shows a page in a window of this size, and leaves a picture of it in `picture`, a file of type PNG.
pub fn show(page: &Path, (width, height): (u32, u32), picture: &Path) -> Result<Noticed> {
    let (profile, network) = (picture.with_extension("profile"), picture.with_extension("netlog"));
    remove(picture)?;
    let mut browser = command("timeout", [LIMIT, "unshare", "--net", "--", PROGRAM]);
    arguments(&mut browser, &profile, &network, (width, height))
        .arg(format!("--virtual-time-budget={PATIENCE}"))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()));
    let output = browser.output().context("cannot start the browser")?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() || !picture.exists() {
        bail!("the browser took no picture of {}: {}\n{log}", page.display(), output.status);
    }
    let noticed = noticed(&log, &network)?;
    remove(&network)?;
    remove(&profile)?;
    Ok(noticed)
}

/// Adds what every browser is started with.
fn arguments<'c>(
    browser: &'c mut Command,
    profile: &Path,
    network: &Path,
    (width, height): (u32, u32),
) -> &'c mut Command {
    browser
        // Its own sandbox does not start as root, and the page is ours.
        .args(["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--v=0"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--log-net-log={}", network.display()))
        .arg(format!("--window-size={width},{height}"))
}

/// What a browser that has ended has left in its logs.
fn noticed(log: &str, network: &Path) -> Result<Noticed> {
    let events = fs::read(network).context("the browser kept no log of its network")?;
    Ok(Noticed {
        console: log.lines().filter(|line| line.contains(CONSOLE)).map(str::to_owned).collect(),
        requests: requests(&events)?,
    })
}

/// The addresses in a log of the browser's network, each once.
fn requests(log: &[u8]) -> Result<Vec<String>> {
    let log: Value = serde_json::from_slice(log).context("the log of the network is no JSON")?;
    let events = log["events"].as_array().context("the log of the network has no events")?;
    let address = |event: &Value| {
        let parameters = &event["params"];
        [&parameters["url"], &parameters["host"]]
            .into_iter()
            .find_map(|found| found.as_str().map(str::to_owned))
    };
    let mut found: Vec<String> = events.iter().filter_map(address).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::requests;

    #[test]
    fn each_address_is_found_once() {
        let log = br#"{"events":[{"params":{"url":"http://a/"}},{"type":1},{"params":{"host":"b"}},{"params":{"url":"http://a/"}}]}"#;
        assert_eq!(requests(log).unwrap(), ["b", "http://a/"]);
        assert!(requests(b"{}").is_err());
    }
}
