//! What is to be built: derivations, or what Nix evaluates to some.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use builder::store::{Evaluation, OptionError, Store, Target, is_flake};
use builder::store_path::{StorePath, StorePathError};

use crate::error::CommandError;
use crate::failures::UsageError;
use crate::output;
use crate::slow::say_if_slow;

/// Words of every command that builds: how Nix evaluates what is not a derivation yet, as `nix-build` has them.
#[derive(Debug, clap::Args)]
pub struct EvaluationArguments {
    /// Attribute of the Nix files or expressions
    #[arg(short = 'A', long = "attr", value_name = "ATTR")]
    attributes: Vec<String>,
    /// Interpret what is to be built as Nix expressions, not as files
    #[arg(short = 'E', long)]
    expr: bool,
    /// Pass an argument to the function in a Nix file or expression, as an expression
    #[arg(long, value_names = ["NAME", "EXPR"], num_args = 2, allow_hyphen_values = true)]
    arg: Vec<String>,
    /// The same, as a string
    #[arg(long, value_names = ["NAME", "TEXT"], num_args = 2, allow_hyphen_values = true)]
    argstr: Vec<String>,
    /// Where Nix looks up names in angle brackets, before NIX_PATH
    #[arg(short = 'I', long, value_name = "[NAME=]PATH")]
    include: Vec<OsString>,
    /// Set a setting of Nix's, for this run
    #[arg(long, value_names = ["NAME", "VALUE"], num_args = 2, allow_hyphen_values = true)]
    option: Vec<String>,
    /// Let a flake depend on what it does not declare
    #[arg(long)]
    impure: bool,
}

/// What should be a derivation of the store is not.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} is not a derivation in the store")]
struct NotInStore {
    path: PathBuf,
    source: StorePathError,
}

impl EvaluationArguments {
    /// The store, with the settings that were given.
    ///
    /// # Errors
    /// One of them cannot be a setting.
    pub fn store(&self) -> Result<Store, OptionError> {
        Store::from_environment().with_options(&pairs(&self.option))
    }

    /// The derivations that targets stand for, in the order in which they were asked for.
    ///
    /// # Errors
    /// A target is none, or Nix cannot evaluate it.
    pub fn derivations(&self, store: &Store, targets: &[PathBuf]) -> Result<Vec<StorePath>, CommandError> {
        let how = Evaluation {
            attributes: self.attributes.clone(),
            arguments: pairs(&self.arg),
            texts: pairs(&self.argstr),
            include: self.include.clone(),
            impure: self.impure,
        };
        let evaluate = |target: Target, named: &Path| {
            let what = format!("evaluating {}", output::name(named));
            say_if_slow(&what, || store.evaluate(&target, &how))
        };
        let mut roots = Vec::new();
        for target in targets {
            if self.expr {
                let text = target.to_string_lossy().into_owned();
                roots.extend(evaluate(Target::Expression(text), "the expression".as_ref())?);
                continue;
            }
            check(target, store)?;
            if target.extension().is_some_and(|extension| extension == "drv") {
                let path = std::path::absolute(target)?;
                let parsed = StorePath::parse(&path.to_string_lossy(), store.directory());
                roots.push(parsed.map_err(|source| NotInStore { path, source })?);
            } else if is_flake(target) {
                roots.extend(evaluate(Target::Flake(target.to_string_lossy().into_owned()), target)?);
            } else {
                roots.extend(evaluate(Target::File(target.clone()), target)?);
            }
        }
        let mut seen = BTreeSet::new();
        roots.retain(|root| seen.insert(root.clone()));
        Ok(roots)
    }
}

/// Names and values, which clap gives one after the other.
fn pairs(words: &[String]) -> Vec<(String, String)> {
    let (pairs, _) = words.as_chunks::<2>();
    pairs.iter().map(|[name, value]| (name.clone(), value.clone())).collect()
}

/// Refuses what other programs of Nix take as a target and this one does not, with the words that do the same.
fn check(target: &Path, store: &Store) -> Result<(), UsageError> {
    let text = target.to_string_lossy();
    let refused = |message: String, hint: String| Err(UsageError { message, hints: vec![hint] });
    if let Some((derivation, outputs)) = text.split_once(".drv^").or_else(|| text.split_once(".drv!")) {
        let message =
            format!("the outputs {outputs:?} cannot be chosen: all outputs of a derivation are built");
        return refused(message, format!("leave them out: {derivation}.drv"));
    }
    if target.extension().is_some_and(|extension| extension == "drv") {
        return Ok(());
    }
    if is_flake(target) {
        return Ok(());
    }
    let is_output = StorePath::parse(&text, store.directory()).is_ok();
    if is_output && target.extension().is_none_or(|extension| extension != "nix") && !has_default(target) {
        let message = format!("{text:?} is a path of the store, and no derivation");
        let hint = match target.exists() {
            true => format!("its derivation, if the store knows it: nix-store --query --deriver {text}"),
            false => format!("'nix-store --realise {text}' fetches it, if it can be fetched"),
        };
        return refused(message, hint);
    }
    if !text.contains(['/', '<', '(', ':', '.']) && !target.exists() {
        let message = format!("there is no file {text:?} here");
        return refused(
            message,
            format!("'-A {text}' names an attribute of default.nix, 'FILE -A {text}' one of another file"),
        );
    }
    Ok(())
}

fn has_default(directory: &Path) -> bool {
    directory.join("default.nix").exists()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Store, check};

    fn refusal(target: &str) -> String {
        let store = Store::at("/nix/store".into(), "/nix/var/nix".into(), "/nix/var/log/nix".into());
        let refused = check(Path::new(target), &store).expect_err("it is no target");
        format!("{}\n{}", refused.message, refused.hints.join("\n"))
    }

    #[test]
    fn what_only_other_programs_of_nix_take_is_refused_with_what_does_the_same() {
        insta::assert_snapshot!(refusal("/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello"), @r#"
        "/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello" is a path of the store, and no derivation
        'nix-store --realise /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello' fetches it, if it can be fetched
        "#);
        insta::assert_snapshot!(refusal("/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello.drv^out,dev"), @r#"
        the outputs "out,dev" cannot be chosen: all outputs of a derivation are built
        leave them out: /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello.drv
        "#);
        insta::assert_snapshot!(refusal("hello"), @r#"
        there is no file "hello" here
        '-A hello' names an attribute of default.nix, 'FILE -A hello' one of another file
        "#);
    }

    #[test]
    fn derivations_files_flakes_and_what_nix_itself_looks_up_are_targets() {
        let store = Store::at("/nix/store".into(), "/nix/var/nix".into(), "/nix/var/log/nix".into());
        for target in [
            "/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv",
            "./absent.nix",
            "<nixpkgs>",
            "src",
            "/a/b",
            ".#hello",
            "nixpkgs#hello^dev",
        ] {
            assert!(check(Path::new(target), &store).is_ok(), "{target}");
        }
    }
}
