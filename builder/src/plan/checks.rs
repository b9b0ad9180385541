//! What a derivation demands of its outputs: sizes, and which paths they may refer to.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::PlanError;
use crate::derivation::{AttributeError, Attributes};
use crate::store_path::StorePath;

/// What one output has to be like. Nothing is demanded by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputChecks {
    /// The most bytes that its archive may have.
    pub max_size: Option<u64>,
    /// The most bytes that the archives of its closure may have.
    pub max_closure_size: Option<u64>,
    /// Whether it is left out of its own closure when requisites are checked.
    pub ignore_self: bool,
    /// The only paths that it may refer to.
    pub allowed_references: Option<BTreeSet<StorePath>>,
    /// The only paths that its closure may contain.
    pub allowed_requisites: Option<BTreeSet<StorePath>>,
    /// Paths that it must not refer to.
    pub disallowed_references: BTreeSet<StorePath>,
    /// Paths that its closure must not contain.
    pub disallowed_requisites: BTreeSet<StorePath>,
}

impl OutputChecks {
    /// Whether the closure has to be known.
    #[must_use]
    pub fn need_closure(&self) -> bool {
        self.max_closure_size.is_some()
            || self.allowed_requisites.is_some()
            || !self.disallowed_requisites.is_empty()
    }
}

/// The outputs of a derivation, as its checks name them.
pub(super) struct NamedOutputs<'a> {
    pub store: &'a Path,
    pub derivation: &'a StorePath,
    pub outputs: &'a [(String, StorePath)],
}

impl NamedOutputs<'_> {
    /// The checks of one output: those of all outputs, or with structured attributes its own.
    pub fn checks(&self, attributes: &Attributes<'_>, output: &str) -> Result<OutputChecks, PlanError> {
        let Some(structured) = attributes.structured() else {
            let list = |name| Ok::<_, PlanError>(attributes.words_if_set(name)?);
            return Ok(OutputChecks { ignore_self: true, ..self.lists(output, list)? });
        };
        let Some(all) = structured.get("outputChecks") else { return Ok(OutputChecks::default()) };
        let all = object(all, "outputChecks".into())?;
        let Some(own) = all.get(output) else { return Ok(OutputChecks::default()) };
        let own = object(own, format!("outputChecks.{output}"))?;
        let full = |name: &str| format!("outputChecks.{output}.{name}");
        let size = |name| match own.get(name) {
            None => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(full(name), "a number of bytes")),
        };
        Ok(OutputChecks {
            max_size: size("maxSize")?,
            max_closure_size: size("maxClosureSize")?,
            ..self.lists(output, |name| own.get(name).map(|value| strings(value, full(name))).transpose())?
        })
    }

    fn lists(
        &self,
        output: &str,
        list: impl Fn(&'static str) -> Result<Option<Vec<String>>, PlanError>,
    ) -> Result<OutputChecks, PlanError> {
        let paths = |name| match list(name)? {
            None => Ok(None),
            Some(words) => {
                words.iter().map(|word| self.path(output, word)).collect::<Result<_, _>>().map(Some)
            }
        };
        Ok(OutputChecks {
            allowed_references: paths("allowedReferences")?,
            allowed_requisites: paths("allowedRequisites")?,
            disallowed_references: paths("disallowedReferences")?.unwrap_or_default(),
            disallowed_requisites: paths("disallowedRequisites")?.unwrap_or_default(),
            ..OutputChecks::default()
        })
    }

    /// A path, or the name of an output.
    fn path(&self, output: &str, word: &str) -> Result<StorePath, PlanError> {
        if let Ok(path) = StorePath::parse(word, self.store) {
            return Ok(path);
        }
        let named = self.outputs.iter().find(|(name, _)| name == word);
        named.map(|(_, path)| path.clone()).ok_or_else(|| PlanError::Specifier {
            derivation: self.derivation.within(self.store),
            output: output.into(),
            specifier: word.into(),
            outputs: self.outputs.iter().map(|(name, _)| name.clone()).collect(),
        })
    }
}

/// The outputs whose references are not to be looked for. Without structured attributes there are none.
pub(super) fn discard_references(attributes: &Attributes<'_>, output: &str) -> Result<bool, PlanError> {
    const NAME: &str = "unsafeDiscardReferences";
    let Some(all) = attributes.structured().and_then(|structured| structured.get(NAME)) else {
        return Ok(false);
    };
    match object(all, NAME.into())?.get(output) {
        None => Ok(false),
        Some(Value::Bool(discard)) => Ok(*discard),
        Some(_) => Err(wrong(format!("{NAME}.{output}"), "true or false")),
    }
}

fn object(value: &Value, name: String) -> Result<&Map<String, Value>, PlanError> {
    value.as_object().ok_or_else(|| wrong(name, "an object"))
}

fn strings(value: &Value, name: String) -> Result<Vec<String>, PlanError> {
    let list = value.as_array().and_then(|items| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    list.ok_or_else(|| wrong(name, "a list of strings"))
}

fn wrong(name: String, expected: &'static str) -> PlanError {
    AttributeError::Type { name, expected }.into()
}
