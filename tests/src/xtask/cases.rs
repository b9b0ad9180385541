//! Cases in the virtual machine, for the commands that run some of them.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;

use crate::lab::Lab;
use crate::vm::{Output, Vm};

/// Some cases of a group.
pub struct Cases<'a> {
    /// The group, by its word on a command line.
    pub group: &'a str,
    /// A part of their names.
    pub filter: &'a str,
    /// What their environment has besides.
    pub variables: Vec<(&'a str, OsString)>,
    /// The words before the command, if it is to run elsewhere than in the machine itself.
    pub within: Vec<OsString>,
}

impl Cases<'_> {
    /// Runs them on the machine's own file system; their exit status is ours.
    pub fn run(self, lab: &Lab, vm: &Vm) -> Result<ExitCode> {
        let mut words = self.within;
        words.push("env".into());
        let program = ("LOOPBOX_PROGRAM", lab.loopbox()?.into_os_string());
        for (name, value) in self.variables.into_iter().chain([program]) {
            let mut word = OsString::from(name);
            word.push("=");
            word.push(value);
            words.push(word);
        }
        words.push(lab.own_program()?.into());
        let rest = ["__vm-cases", self.group, "--on", "tmpfs", "--filter", self.filter];
        words.extend(rest.map(OsString::from));
        let finished = vm.run(lab, &words, Output::Show)?;
        Ok(ExitCode::from(u8::try_from(finished.status).unwrap_or(u8::MAX)))
    }
}
