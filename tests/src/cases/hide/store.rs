//! The machine's Nix store, and builds of loopbox in it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cases::Place;
use crate::cases::loopbox::{Loopbox, Ran};
use crate::command::{command, text};
use crate::demo::Workload;
use crate::lab::Lab;
use crate::lab::store::configuration;

/// The builds of these cases, and how to run them.
pub struct Builds {
    file: PathBuf,
    graph: PathBuf,
    configuration: PathBuf,
    loopbox: Loopbox,
}

impl Builds {
    /// In a case's directory.
    pub fn new(place: &Place) -> Builds {
        let lab = Lab::open().expect("the checkout is there");
        let workload = Workload::prepare(&lab).expect("the store was prepared outside");
        Builds {
            file: place.file("builds.nix", include_str!("builds.nix")),
            graph: workload.graph.parent().expect("it is in a directory").to_owned(),
            configuration: configuration(&lab).expect("the configuration can be written"),
            loopbox: Loopbox::at(place),
        }
    }

    /// Uses other settings of Nix, added to the usual ones.
    pub fn configure(&mut self, place: &Place, settings: &str) {
        let usual = std::fs::read_to_string(self.configuration.join("nix.conf")).expect("it can be read");
        self.configuration = place.directory("conf");
        place.file("conf/nix.conf", usual + settings);
    }

    /// The derivation of an attribute, made with these arguments.
    pub fn derivation(&self, attribute: &str, arguments: &[(&str, &str)]) -> String {
        let mut instantiate = command("nix-instantiate", ["--quiet", "-A", attribute]);
        instantiate.arg(&self.file).args(["--arg", "graph"]).arg(&self.graph);
        for (name, value) in arguments {
            instantiate.args(["--argstr", name, value]);
        }
        text(instantiate.env("NIX_CONF_DIR", &self.configuration)).expect("Nix makes a derivation")
    }

    /// `loopbox build` of a derivation.
    pub fn run(&self, derivation: &str, words: &[&str]) -> Ran {
        self.build_command(derivation, words).output().expect("loopbox can be started").into()
    }

    /// The same, ready to be started.
    pub fn build_command(&self, derivation: &str, words: &[&str]) -> Command {
        let mut build = self.loopbox.command(["build", "--no-out-link", derivation]);
        build.args(words).env("NIX_CONF_DIR", &self.configuration);
        build
    }

    /// `loopbox build` of all derivations of a Nix file that is given the directory of the demonstration's graph.
    pub fn run_graph(&self, place: &Place, file: &str, words: &[&str]) -> Ran {
        let file = place.file("graph.nix", file);
        let mut instantiate = command("nix-instantiate", ["--quiet"]);
        instantiate.arg(file).args(["--arg", "graph"]).arg(&self.graph);
        let derivations =
            text(instantiate.env("NIX_CONF_DIR", &self.configuration)).expect("Nix makes derivations");
        let mut build = self.loopbox.command(["build", "--no-out-link"]);
        build.args(derivations.lines()).args(words).env("NIX_CONF_DIR", &self.configuration);
        build.output().expect("loopbox can be started").into()
    }

    /// The log of a derivation's build, as Nix has it.
    pub fn log(&self, derivation: &str) -> String {
        let mut log = command("nix-store", ["--read-log", derivation]);
        text(log.env("NIX_CONF_DIR", &self.configuration)).expect("Nix finds the log")
    }

    /// `loopbox shell` of a derivation.
    pub fn shell(&self, derivation: &str, words: &[&str]) -> Ran {
        self.shell_command(derivation, words).output().expect("loopbox can be started").into()
    }

    /// The same, ready to be started.
    pub fn shell_command(&self, derivation: &str, words: &[&str]) -> Command {
        let mut shell = self.loopbox.command(["shell", derivation]);
        shell.args(words).env("NIX_CONF_DIR", &self.configuration);
        shell
    }

    /// `loopbox compare` with these words.
    pub fn compare(&self, words: &[&str]) -> Command {
        let mut compare = self.loopbox.command(["compare"]);
        compare.args(words).env("NIX_CONF_DIR", &self.configuration);
        compare
    }

    /// The answer of a build that has to succeed, as JSON, and what it told on standard error.
    pub fn build(&self, derivation: &str, words: &[&str]) -> (Value, String) {
        let ran = self.run(derivation, &[&["--json"], words].concat());
        assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
        (serde_json::from_str(&ran.stdout).expect("the answer is JSON"), ran.stderr)
    }

    /// The plan of a derivation.
    pub fn plan(&self, derivation: &str, words: &[&str]) -> Value {
        let ran = self.run(derivation, &[&["--dry-run"], words].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let answer: Value = serde_json::from_str(&ran.stdout).expect("plans are JSON");
        let all = answer["build"].as_array().expect("there are plans");
        let own =
            all.iter().find(|build| build["drvPath"] == derivation).expect("the derivation has to be built");
        own["plan"].clone()
    }

    /// Paths and all that they refer to, as Nix has it.
    pub fn closure(&self, paths: &[&str]) -> Vec<String> {
        let mut query = command("nix-store", ["--query", "--requisites"]);
        let answer = text(query.args(paths).env("NIX_CONF_DIR", &self.configuration)).expect("Nix answers");
        answer.lines().map(str::to_owned).collect()
    }
}

/// What was built of one derivation.
pub fn of<'a>(answer: &'a Value, derivation: &str) -> &'a Value {
    let all = answer["derivations"].as_array().expect("there are derivations");
    all.iter().find(|built| built["drvPath"] == derivation).expect("it was built")
}

/// The path of an output named `out`.
pub fn out(built: &Value) -> PathBuf {
    built["outputs"]["out"]["path"].as_str().expect("it has an output").into()
}

/// The paths that a build asked for in vain.
pub fn hidden(built: &Value) -> Vec<&str> {
    built["hidden"].as_array().expect("there is a list").iter().filter_map(Value::as_str).collect()
}
