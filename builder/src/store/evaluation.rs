//! What a person wants built, in words that Nix evaluates.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Store, StoreError};
use crate::store_path::StorePath;

/// What stands for derivations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Nix file, a directory with a `default.nix`, or a name in angle brackets that Nix looks up.
    File(PathBuf),
    /// An expression of the Nix language.
    Expression(String),
    /// An installable of a flake, as `.#hello`.
    Flake(String),
}

/// How it is evaluated.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Attributes of what a file or an expression stands for; that itself if there are none.
    pub attributes: Vec<String>,
    /// Arguments of a function that it stands for, by their names: expressions.
    pub arguments: Vec<(String, String)>,
    /// The same as texts.
    pub texts: Vec<(String, String)>,
    /// Where names in angle brackets are looked up first: `PATH`, or `PREFIX=PATH`.
    pub include: Vec<OsString>,
    /// Whether a flake may depend on more than what it declares.
    pub impure: bool,
}

impl Target {
    fn name(&self) -> PathBuf {
        match self {
            Target::File(path) => path.clone(),
            Target::Expression(text) | Target::Flake(text) => text.into(),
        }
    }
}

impl Evaluation {
    /// The program that evaluates a target, and its words.
    fn command(&self, target: &Target) -> (&'static str, Vec<OsString>) {
        let mut words: Vec<OsString> = Vec::new();
        let program = match target {
            Target::File(path) => {
                words.push(path.into());
                "nix-instantiate"
            }
            Target::Expression(text) => {
                words.extend(["-E".into(), text.into()]);
                "nix-instantiate"
            }
            Target::Flake(text) => {
                let flakes = ["--extra-experimental-features", "nix-command flakes"];
                words.extend(flakes.into_iter().chain(["path-info", "--derivation"]).map(OsString::from));
                words.extend(self.impure.then(|| "--impure".into()));
                words.push(text.into());
                "nix"
            }
        };
        for attribute in &self.attributes {
            words.extend(["-A".into(), attribute.into()]);
        }
        for (word, arguments) in [("--arg", &self.arguments), ("--argstr", &self.texts)] {
            for (name, value) in arguments {
                words.extend([word.into(), name.into(), value.into()]);
            }
        }
        for path in &self.include {
            words.extend(["-I".into(), path.clone()]);
        }
        (program, words)
    }
}

impl Store {
    /// The derivations that a target stands for.
    ///
    /// # Errors
    /// When it cannot be evaluated.
    pub fn evaluate(&self, target: &Target, how: &Evaluation) -> Result<Vec<StorePath>, StoreError> {
        let (program, words) = how.command(target);
        let printed = self
            .programs()
            .ask(program, words)
            .map_err(|source| StoreError::Evaluate { file: target.name(), source })?;
        // A derivation whose output is not the first one is printed as `path!output`.
        let plain: Vec<&str> =
            std::str::from_utf8(&printed).unwrap_or_default().lines().map(without_output).collect();
        self.read_paths(program, plain.join("\n").as_bytes())
    }
}

fn without_output(line: &str) -> &str {
    line.split(['!', '^']).next().unwrap_or(line)
}

/// Whether a word is an installable of a flake, and no file.
#[must_use]
pub fn is_flake(word: &Path) -> bool {
    word.as_os_str().as_encoded_bytes().contains(&b'#') && !word.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: &Target, how: &Evaluation) -> String {
        let (program, words) = how.command(target);
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        format!("{program} {}", words.join(" "))
    }

    #[test]
    fn nix_is_asked_in_its_own_words() {
        let how = Evaluation {
            attributes: vec!["a".into(), "b.c".into()],
            arguments: vec![("n".into(), "1 + 1".into())],
            texts: vec![("s".into(), "text".into())],
            include: vec!["x=/y".into()],
            impure: true,
        };
        let file = Target::File("default.nix".into());
        assert_eq!(
            line(&file, &how),
            "nix-instantiate default.nix -A a -A b.c --arg n 1 + 1 --argstr s text -I x=/y"
        );
        let plain = Evaluation::default();
        assert_eq!(line(&Target::Expression("{ }".into()), &plain), "nix-instantiate -E { }");
        assert_eq!(
            line(&Target::Flake(".#a".into()), &Evaluation { impure: true, ..plain }),
            "nix --extra-experimental-features nix-command flakes path-info --derivation --impure .#a"
        );
    }

    #[test]
    fn outputs_are_not_part_of_a_path() {
        for line in ["/s/a.drv", "/s/a.drv!dev", "/s/a.drv^dev,out"] {
            assert_eq!(without_output(line), "/s/a.drv");
        }
    }
}
