//! A page that is clicked and typed into, by the browser's DevTools protocol over two pipes.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{LIMIT, Noticed, PROGRAM, arguments, noticed};
use crate::command::command;
use crate::lab::remove;

/// Gives the browser the pipes as descriptors 3 and 4, where `--remote-debugging-pipe` has them.
const WITH_PIPES: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null";

/// Milliseconds that a page has to become what is expected of it.
const DEADLINE: u32 = 5000;

/// A page in a browser, which ends when its pipes are closed.
pub struct OpenPage {
    browser: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The page's, among the browser's; empty before there is one.
    session: String,
    last_id: u64,
    profile: PathBuf,
}

impl OpenPage {
    /// Opens a page in a window of this size, and waits until it has loaded. `profile` is a directory for the browser.
    pub fn open(page: &Path, size: (u32, u32), profile: &Path) -> Result<OpenPage> {
        remove(profile)?;
        let log = File::create(log_of(profile)).context("cannot create the browser's log")?;
        let mut browser =
            command("timeout", [LIMIT, "unshare", "--net", "--", "sh", "-c", WITH_PIPES, "sh", PROGRAM]);
        arguments(&mut browser, profile, &network_of(profile), size)
            .args(["--remote-debugging-pipe", "about:blank"]);
        let mut browser = browser
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start the browser")?;
        let commands = browser.stdin.take().context("the browser has no input")?;
        let answers = BufReader::new(browser.stdout.take().context("the browser has no output")?);
        let (session, profile) = (String::new(), profile.into());
        let mut opened = OpenPage { browser, commands, answers, session, last_id: 0, profile };
        let target = opened.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = opened.call("Target.attachToTarget", &attach)?;
        opened.session = attached["sessionId"].as_str().context("the page has no session")?.to_owned();
        opened.call("Page.navigate", &json!({ "url": format!("file://{}", page.display()) }))?;
        opened.expect("location.protocol === 'file:' && document.readyState === 'complete'")?;
        Ok(opened)
    }

    /// What an expression is; a promise, what it comes to.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let evaluated = self.call("Runtime.evaluate", &parameters)?;
        if let Some(exception) = evaluated.get("exceptionDetails") {
            bail!("{expression} throws {exception}");
        }
        Ok(evaluated["result"]["value"].clone())
    }

    /// Waits until an expression is true.
    pub fn expect(&mut self, expression: &str) -> Result<()> {
        let asked = format!(
            "new Promise((end) => {{
                const start = performance.now();
                const ask = () => {{
                    if ({expression}) end(true);
                    else if (performance.now() - start > {DEADLINE}) end(false);
                    else setTimeout(ask, 10);
                }};
                ask();
            }})"
        );
        if self.evaluate(&asked)? != true {
            bail!("never true: {expression}");
        }
        Ok(())
    }

    /// Clicks in the middle of the element that an expression gives.
    pub fn click(&mut self, element: &str) -> Result<()> {
        let middle = format!(
            "(() => {{
                const element = {element};
                element.scrollIntoView({{ block: 'center' }});
                const {{ x, y, width, height }} = element.getBoundingClientRect();
                return {{ x: x + width / 2, y: y + height / 2 }};
            }})()"
        );
        let at = self.evaluate(&middle)?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": at["x"], "y": at["y"], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Presses a key of this name (UI Events).
    pub fn press(&mut self, key: &str) -> Result<()> {
        for kind in ["rawKeyDown", "keyUp"] {
            self.call("Input.dispatchKeyEvent", &json!({ "type": kind, "key": key, "code": key }))?;
        }
        Ok(())
    }

    /// Types a text into what has the focus.
    pub fn enter(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", &json!({ "text": text })).map(drop)
    }

    /// Ends the browser, and tells what the page did beside being shown.
    pub fn close(mut self) -> Result<Noticed> {
        self.session.clear();
        self.call("Browser.close", &json!({}))?;
        self.browser.wait().context("the browser does not end")?;
        let log = fs::read_to_string(log_of(&self.profile)).context("the browser kept no log")?;
        let noticed = noticed(&log, &network_of(&self.profile))?;
        remove(&log_of(&self.profile))?;
        remove(&network_of(&self.profile))?;
        remove(&self.profile)?;
        Ok(noticed)
    }

    /// Calls a method of the protocol, and passes over the events that come before its result.
    fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).context("the browser has ended")?;
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).context("cannot read from the browser")?;
            if answer.pop().is_none() {
                bail!("the browser has ended, or took more than {LIMIT} s");
            }
            let answer: Value = serde_json::from_slice(&answer).context("the browser's answer is no JSON")?;
            if answer["id"] != self.last_id {
                continue;
            }
            if let Some(error) = answer.get("error") {
                bail!("{method}: {error}");
            }
            return Ok(answer["result"].clone());
        }
    }
}

fn log_of(profile: &Path) -> PathBuf {
    profile.with_extension("log")
}

fn network_of(profile: &Path) -> PathBuf {
    profile.with_extension("netlog")
}
