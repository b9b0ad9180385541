//! What a line of a build's output means: builders tell phases and messages in lines of `@nix` and a JSON object.

use serde_json::Value;

/// Messages of a higher level are for debugging; 3 is what Nix's programs show unless they are asked for more.
const SHOWN_LEVEL: u64 = 3;

/// What a build has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent<'a> {
    /// A line.
    Line(&'a str),
    /// The name of what it does now.
    Phase(String),
    /// Something that it wants to be told.
    Message(String),
    /// Something about its inner life that nobody has asked for.
    Detail,
}

impl<'a> LogEvent<'a> {
    /// Reads a line. What begins like a message and is none is a line like any other.
    #[must_use]
    pub fn read(line: &'a str) -> LogEvent<'a> {
        line.strip_prefix("@nix ").and_then(message).unwrap_or(LogEvent::Line(line))
    }
}

fn message<'a>(text: &str) -> Option<LogEvent<'a>> {
    let object: Value = serde_json::from_str(text).ok()?;
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    match object.get("action")?.as_str()? {
        "setPhase" => text("phase").map(LogEvent::Phase),
        "msg" => {
            let (said, level) = (text("msg")?, object.get("level")?.as_u64()?);
            Some(if level <= SHOWN_LEVEL { LogEvent::Message(said) } else { LogEvent::Detail })
        }
        _ => Some(LogEvent::Detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_and_messages_are_told_from_lines() {
        let read = |line| LogEvent::read(line);
        let phase = r#"@nix { "action": "setPhase", "phase": "installPhase" }"#;
        assert_eq!(read(phase), LogEvent::Phase("installPhase".into()));
        assert_eq!(
            read(r#"@nix {"action":"msg","level":0,"msg":"a word"}"#),
            LogEvent::Message("a word".into())
        );
        assert_eq!(read(r#"@nix {"action":"msg","level":7,"msg":"a word"}"#), LogEvent::Detail);
        assert_eq!(read(r#"@nix {"action":"start","id":1}"#), LogEvent::Detail);
        for line in ["@nix broken", "@nix {}", r#"@nix {"action":"setPhase"}"#, "nix", "@nix", "", "@nix []"]
        {
            assert_eq!(read(line), LogEvent::Line(line));
        }
    }
}
