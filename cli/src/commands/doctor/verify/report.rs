//! What the self-test found, for people and for programs.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Serialize;

use super::CheckResult;

/// The results of all checks.
#[derive(Debug, Serialize)]
pub struct VerifyReport {
    loopbox: &'static str,
    system: String,
    items: Vec<Item>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub struct Item {
    name: &'static str,
    state: State,
    said: String,
    seconds: f64,
    #[serde(skip)]
    hangs: bool,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// As it should.
    Passed,
    /// Not so.
    Failed,
    /// It cannot be asked on this machine.
    NotHere,
}

impl VerifyReport {
    /// An empty one.
    pub fn of_this_machine() -> VerifyReport {
        VerifyReport { loopbox: env!("CARGO_PKG_VERSION"), system: system(), items: Vec::new() }
    }

    /// Adds a result.
    pub fn add(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Whether nothing failed.
    pub fn is_good(&self) -> bool {
        self.count(State::Failed) == 0
    }

    /// Whether one did not come to an end.
    pub fn hangs(&self) -> bool {
        self.items.iter().any(|item| item.hangs)
    }

    /// A line for each, and their number.
    pub fn for_people(&self) -> String {
        let mut text = format!("loopbox {} on {}\n", self.loopbox, self.system);
        for Item { name, state, said, seconds, .. } in &self.items {
            let state = match state {
                State::Passed => "passed",
                State::Failed => "FAILED",
                State::NotHere => "-",
            };
            text += &format!("{state:<7} {name}: {said} ({seconds:.1} s)\n");
        }
        let count = |state| self.count(state);
        let (passed, failed, other) = (count(State::Passed), count(State::Failed), count(State::NotHere));
        text + &format!("{passed} passed, {failed} failed, {other} do not apply here\n")
    }

    fn count(&self, state: State) -> usize {
        self.items.iter().filter(|item| item.state == state).count()
    }
}

impl Item {
    /// What came of one.
    pub fn new(name: &'static str, result: CheckResult, took: Duration) -> Item {
        let state = State::of(&result);
        let said = result.unwrap_or_else(|trouble| trouble.to_string());
        // A line each, whatever a program or the system had to say.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        Item { name, state, said, seconds: took.as_secs_f64(), hangs: false }
    }

    /// One that did not come to an end.
    pub fn hanging(name: &'static str, timeout: Duration) -> Item {
        let said = format!("it did not come to an end within {} s", timeout.as_secs());
        Item { name, state: State::Failed, said, seconds: timeout.as_secs_f64(), hangs: true }
    }
}

/// The kernel, and what macOS calls itself.
fn system() -> String {
    let kernel = nix::sys::utsname::uname().map_or_else(
        |_| "an unknown kernel".to_owned(),
        |name| {
            let words = [name.sysname(), name.release(), name.machine()];
            words.map(|word| word.to_string_lossy().into_owned()).join(" ")
        },
    );
    if !cfg!(target_os = "macos") {
        return kernel;
    }
    let said = |word| {
        let output = Command::new("/usr/bin/sw_vers").arg(word).stdin(Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    format!("macOS {} ({}), {kernel}", said("-productVersion"), said("-buildVersion"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::CheckError;
    use super::{Item, VerifyReport};

    #[test]
    fn a_report_is_a_line_for_each_item_and_fails_with_one_of_them() {
        let mut report = VerifyReport { loopbox: "1.0", system: "Testix 1".into(), items: Vec::new() };
        let took = Duration::from_millis(1240);
        report.add(Item::new("first", Ok("well".into()), took));
        report.add(Item::new("second", Err(CheckError::NotHere("no such\nthing".into())), took));
        assert!(report.is_good() && !report.hangs());
        report.add(Item::new("third", Err(CheckError::Failed("broken".into())), took));
        report.add(Item::hanging("fourth", Duration::from_secs(2)));
        assert!(!report.is_good() && report.hangs());
        insta::assert_snapshot!(report.for_people(), @r#"
        loopbox 1.0 on Testix 1
        passed  first: well (1.2 s)
        -       second: no such thing (1.2 s)
        FAILED  third: broken (1.2 s)
        FAILED  fourth: it did not come to an end within 2 s (2.0 s)
        1 passed, 2 failed, 1 do not apply here
        "#);
    }
}
