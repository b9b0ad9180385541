//! A launchd job (launchd.plist(5)) that removes what killed runs left behind, at every start of the machine.

use std::path::Path;

use crate::error::CommandError;
use crate::globals::Globals;
use crate::{itself, output};

/// The job's name, and its file's: `/Library/LaunchDaemons/loopbox.clean.plist`.
const LABEL: &str = "loopbox.clean";

/// Where Nix's programs are, and the system's own, which are all that launchd offers.
const PATH: &str = "/nix/var/nix/profiles/default/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// Prints the job's file for this program and these notes.
pub fn print(globals: &Globals) -> Result<(), CommandError> {
    Ok(output::print(plist(&itself::path()?, &globals.state_dir))?)
}

/// The file. The job waits for the disks: the Nix store is on a volume of its own, which is mounted later.
fn plist(program: &Path, state: &Path) -> String {
    let words = [&program.to_string_lossy(), "clean", "--state-dir", &state.to_string_lossy()];
    let words: String =
        words.iter().map(|word| format!("    <string>{}</string>\n", escaped(word))).collect();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>PATH</key>
    <string>{PATH}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>60</integer>
  <key>StandardErrorPath</key>
  <string>/var/log/{LABEL}.log</string>
</dict>
</plist>
"#
    )
}

/// Text of XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::plist;

    /// The words of the job, without what is around them.
    fn words(text: &str) -> Vec<&str> {
        let array = text.split_once("<array>").unwrap().1.split_once("</array>").unwrap().0;
        array.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn the_job_runs_this_very_program_whatever_its_path() {
        let text = plist(Path::new("/opt/R&D/<loopbox>"), Path::new("/private/var/db/loopbox"));
        let program = "<string>/opt/R&amp;D/&lt;loopbox&gt;</string>";
        let [clean, option, state] = ["clean", "--state-dir", "/private/var/db/loopbox"]
            .map(|word| format!("<string>{word}</string>"));
        assert_eq!(words(&text), [program, &clean, &option, &state]);
    }
}
