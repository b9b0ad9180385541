//! Settings by name, as Nix prints them: as JSON, or all of them as texts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{ExternalBuilder, SettingsError};

/// `{name: {value, …}}`, where a value may be the text that a configuration file would have. Settings that a version of Nix does not have are missing; null is as good as missing.
pub(super) struct Printed(pub serde_json::Map<String, Value>);

impl Printed {
    /// Settings that are all texts.
    pub fn of_texts(texts: &BTreeMap<String, String>) -> Printed {
        Printed(texts.iter().map(|(name, text)| (name.clone(), json!({ "value": text }))).collect())
    }

    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).and_then(|setting| setting.get("value")).filter(|value| !value.is_null())
    }

    /// The value of a setting that is off when it is empty, false or zero.
    pub fn unusual(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::Bool(false) => None,
            Value::Number(number) if number.as_u64() == Some(0) => None,
            Value::String(text) if ["", "0", "false"].contains(&text.as_str()) => None,
            Value::Object(items) if items.is_empty() => None,
            Value::Array(items) if items.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        }
    }

    fn get<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let bad = || SettingsError::Value { name, value: value.clone() };
        read(value).map(Some).ok_or_else(bad)
    }

    pub fn text(&self, name: &'static str) -> Result<Option<String>, SettingsError> {
        self.get(name, |value| value.as_str().map(str::to_owned))
    }

    pub fn path(&self, name: &'static str) -> Result<Option<PathBuf>, SettingsError> {
        Ok(self.text(name)?.filter(|path| !path.is_empty()).map(PathBuf::from))
    }

    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, SettingsError> {
        self.get(name, |value| value.as_bool().or_else(|| value.as_str()?.parse().ok()))
    }

    pub fn number<T: TryFrom<u64>>(&self, name: &'static str) -> Result<Option<T>, SettingsError> {
        let read = |value: &Value| {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.and_then(|number| number.try_into().ok())
        };
        self.get(name, read)
    }

    /// A list of words. Nix ≥ 2.33 prints `sandbox-paths` as an object `{target: {source, optional}}`.
    pub fn words(&self, name: &'static str) -> Result<Vec<String>, SettingsError> {
        let read = |value: &Value| match value {
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Value::String(words) => Some(words.split_whitespace().map(str::to_owned).collect()),
            Value::Object(paths) => paths.iter().map(|(target, path)| sandbox_word(target, path)).collect(),
            _ => None,
        };
        Ok(self.get(name, read)?.unwrap_or_default())
    }

    /// Nix prints them as JSON, or as a text that is JSON.
    pub fn external_builders(&self) -> Vec<ExternalBuilder> {
        let builders = match self.value("external-builders") {
            Some(Value::String(text)) => serde_json::from_str(text).ok(),
            other => other.cloned(),
        };
        builders.and_then(|builders| serde_json::from_value(builders).ok()).unwrap_or_default()
    }

    /// Those items of a list that are words. Old versions print the numbers that they know features by.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::Array(items)) => {
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(Value::String(words)) => words.split_whitespace().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

fn sandbox_word(target: &str, path: &Value) -> Option<String> {
    let source = path.get("source")?.as_str()?;
    let optional = path.get("optional").and_then(Value::as_bool).unwrap_or(false);
    Some(format!("{target}={source}{}", if optional { "?" } else { "" }))
}
