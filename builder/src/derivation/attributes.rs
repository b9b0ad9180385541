//! The attributes that ask something of the sandbox, from the environment or from structured attributes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Derivation;

/// The name of the variable that holds structured attributes.
pub const STRUCTURED: &str = "__json";

/// A derivation's attributes, in whichever of the two ways it has them.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    derivation: &'a Derivation<'a>,
    structured: Option<serde_json::Map<String, Value>>,
}

/// Why an attribute cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// `__json` is not JSON.
    #[error("its structured attributes are not JSON")]
    NotJson(#[source] serde_json::Error),
    /// `__json` is something other than an object.
    #[error("its structured attributes are not a JSON object")]
    NotObject,
    /// An attribute has a value of another type.
    #[error("attribute '{name}' has to be {expected}")]
    Type {
        /// The attribute.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// `exportReferencesGraph` is a list of pairs.
    #[error("'exportReferencesGraph' has an odd number of words: '{words}'")]
    OddGraph {
        /// The words.
        words: String,
    },
    /// A file name that could lead elsewhere.
    #[error("'{name}' is not a valid file name in 'exportReferencesGraph'")]
    GraphName {
        /// The name.
        name: String,
    },
}

impl<'a> Attributes<'a> {
    /// Reads a derivation's attributes.
    ///
    /// # Errors
    /// When it has structured attributes that are not a JSON object.
    pub fn of(derivation: &'a Derivation<'a>) -> Result<Attributes<'a>, AttributeError> {
        let structured = match derivation.variable(STRUCTURED) {
            None => None,
            Some(text) => match serde_json::from_slice(text).map_err(AttributeError::NotJson)? {
                Value::Object(object) => Some(object),
                _ => return Err(AttributeError::NotObject),
            },
        };
        Ok(Attributes { derivation, structured })
    }

    /// The structured attributes, when it has them.
    #[must_use]
    pub fn structured(&self) -> Option<&serde_json::Map<String, Value>> {
        self.structured.as_ref()
    }

    /// An attribute that is true or false; false when missing. In the environment only `1` is true.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn flag(&self, name: &str) -> Result<bool, AttributeError> {
        match &self.structured {
            None => Ok(self.derivation.variable(name) == Some(b"1")),
            Some(structured) => match structured.get(name) {
                None => Ok(false),
                Some(Value::Bool(flag)) => Ok(*flag),
                Some(_) => Err(AttributeError::Type { name: name.into(), expected: "true or false" }),
            },
        }
    }

    /// A text; empty when missing.
    ///
    /// # Errors
    /// When it is of another type, or not UTF-8.
    pub fn text(&self, name: &str) -> Result<&str, AttributeError> {
        let wrong = || AttributeError::Type { name: name.into(), expected: "a string" };
        match &self.structured {
            None => {
                let text = self.derivation.variable(name).unwrap_or_default();
                std::str::from_utf8(text).map_err(|_| wrong())
            }
            Some(structured) => match structured.get(name) {
                None => Ok(""),
                Some(value) => value.as_str().ok_or_else(wrong),
            },
        }
    }

    /// A list of words; empty when missing.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn words(&self, name: &str) -> Result<Vec<String>, AttributeError> {
        Ok(self.words_if_set(name)?.unwrap_or_default())
    }

    /// A list of words, for attributes that mean something else when they are empty than when they are missing.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn words_if_set(&self, name: &str) -> Result<Option<Vec<String>>, AttributeError> {
        let Some(structured) = &self.structured else {
            return Ok(self.derivation.variable(name).map(words));
        };
        let wrong = || AttributeError::Type { name: name.into(), expected: "a list of strings" };
        match structured.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => {
                let word = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
                items.iter().map(word).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(wrong()),
        }
    }

    /// The names under which reference graphs are asked for, each with the paths whose closures it holds.
    ///
    /// # Errors
    /// When it is malformed, or a name is not a plain file name.
    pub fn reference_graphs(&self) -> Result<BTreeMap<String, Vec<String>>, AttributeError> {
        const NAME: &str = "exportReferencesGraph";
        let mut graphs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let Some(structured) = &self.structured else {
            let found = words(self.derivation.variable(NAME).unwrap_or_default());
            if !found.len().is_multiple_of(2) {
                return Err(AttributeError::OddGraph { words: found.join(" ") });
            }
            for pair in found.chunks_exact(2) {
                if !is_graph_name(&pair[0]) {
                    return Err(AttributeError::GraphName { name: pair[0].clone() });
                }
                graphs.insert(pair[0].clone(), vec![pair[1].clone()]);
            }
            return Ok(graphs);
        };
        // Nix ignores anything but an object here.
        let Some(Value::Object(asked)) = structured.get(NAME) else { return Ok(graphs) };
        for (name, paths) in asked {
            let wrong =
                || AttributeError::Type { name: format!("{NAME}.{name}"), expected: "a list of store paths" };
            // A bare string stands for a list of one.
            let paths = match paths {
                Value::String(path) => vec![path.clone()],
                Value::Array(items) => items
                    .iter()
                    .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                    .collect::<Result<_, _>>()?,
                _ => return Err(wrong()),
            };
            graphs.insert(name.clone(), paths);
        }
        Ok(graphs)
    }
}

fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `[A-Za-z_][A-Za-z0-9_.-]*`, as Nix has it.
fn is_graph_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
