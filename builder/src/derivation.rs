//! Derivations: what a `.drv` file says, and what its attributes ask for.

mod attributes;
mod parse;
mod print;

use std::borrow::Cow;

use serde::Serialize;

use crate::store_path::StorePath;

pub use attributes::{AttributeError, Attributes};
pub use parse::{MAX_SIZE, ParseError, parse};

/// A text of a derivation. Nix does not ask for UTF-8 there.
pub type Text<'a> = Cow<'a, [u8]>;

/// A build as Nix writes it down. Lists keep the order of the file, so that printing gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation<'a> {
    /// What it makes: names and how their paths are known.
    pub outputs: Vec<(Cow<'a, str>, Output<'a>)>,
    /// Derivations that it needs, each with the outputs it needs of it.
    pub input_derivations: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)>,
    /// Store paths that it needs and that nothing builds.
    pub input_sources: Vec<Cow<'a, str>>,
    /// The system that it builds on, as `x86_64-linux`.
    pub platform: Cow<'a, str>,
    /// The program that builds it, or `builtin:…`.
    pub builder: Text<'a>,
    /// The program's arguments, without its name.
    pub arguments: Vec<Text<'a>>,
    /// Its environment.
    pub environment: Vec<(Text<'a>, Text<'a>)>,
}

/// How an output's path is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// By the derivation itself.
    InputAddressed {
        /// The whole path.
        path: Cow<'a, str>,
    },
    /// By its contents, which are known beforehand.
    Fixed {
        /// The whole path.
        path: Cow<'a, str>,
        /// How the contents are hashed.
        method: Method,
        /// The hash function's name.
        algorithm: Cow<'a, str>,
        /// The hash, in base 16.
        hash: Cow<'a, str>,
    },
    /// By its contents, once they are there.
    Floating {
        /// How the contents are hashed.
        method: Method,
        /// The hash function's name.
        algorithm: Cow<'a, str>,
    },
    /// By the derivation, once its floating inputs are there.
    Deferred,
    /// By its contents, which differ from time to time.
    Impure {
        /// How the contents are hashed.
        method: Method,
        /// The hash function's name.
        algorithm: Cow<'a, str>,
    },
}

/// What a content hash covers. The words are the prefixes of a derivation's `hashAlgo` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One plain file's bytes.
    Flat,
    /// The whole tree as an archive.
    Recursive,
    /// A file that may have references.
    Text,
    /// The tree as git hashes it.
    Git,
}

/// Contents that are known before the build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FixedHash {
    /// Whether the hash is of the whole tree rather than of one file's bytes.
    pub recursive: bool,
    /// The hash function.
    pub algorithm: String,
    /// The hash in base 16.
    pub hash: String,
}

/// Why a derivation of a kind that can be read cannot be built here.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KindError {
    /// The path of an output is not known before the build.
    #[error(
        "output '{output}' is content-addressed with a path that is not known before the build ({kind}), which is not supported"
    )]
    UnknownPath {
        /// The output's name.
        output: String,
        /// Floating, deferred or impure.
        kind: &'static str,
    },
    /// A hash that is neither of one file nor of an archive.
    #[error("output '{output}' is fixed by a hash of method '{method}', which is not supported")]
    Method {
        /// The output's name.
        output: String,
        /// The method's prefix.
        method: &'static str,
    },
    /// An output's path is not a store path.
    #[error("output '{output}' has a bad path")]
    Path {
        /// The output's name.
        output: String,
        /// What is wrong with it.
        source: crate::store_path::StorePathError,
    },
    /// It is run by Nix itself.
    #[error("its builder is '{builder}', which Nix itself performs and no sandbox does")]
    Builtin {
        /// The builder.
        builder: String,
    },
    /// There is nothing to build.
    #[error("it has no outputs")]
    NoOutputs,
}

impl Derivation<'_> {
    /// The value of an environment variable. The last one counts when the file names it twice, as in Nix.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        let found = self.environment.iter().rev().find(|(key, _)| key.as_ref() == name.as_bytes());
        found.map(|(_, value)| value.as_ref())
    }

    /// Whether its outputs differ from time to time (`__impure`). Such builds may use the network, and only fixed ones
    /// and others of their kind may need them.
    #[must_use]
    pub fn is_impure(&self) -> bool {
        self.outputs.iter().any(|(_, output)| matches!(output, Output::Impure { .. }))
    }

    /// Whether the contents of its outputs are known beforehand. Such builds may use the network.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        // Of Nix's own fixed derivations each has one output, but who stands for an impure one may have several.
        !self.outputs.is_empty()
            && self.outputs.iter().all(|(_, output)| matches!(output, Output::Fixed { .. }))
    }

    /// Whether Nix performs it without a process of its own kind.
    #[must_use]
    pub fn is_builtin(&self) -> bool {
        self.builder.starts_with(b"builtin:")
    }

    /// The outputs and their paths.
    ///
    /// # Errors
    /// When a path is not known before the build, or is not in the store.
    pub fn output_paths(&self, store: &std::path::Path) -> Result<Vec<(String, StorePath)>, KindError> {
        let of = |(name, output): &(Cow<'_, str>, Output<'_>)| {
            let kind = match output {
                Output::InputAddressed { path } | Output::Fixed { path, .. } => {
                    let path = StorePath::parse(path, store)
                        .map_err(|source| KindError::Path { output: name.to_string(), source })?;
                    return Ok((name.to_string(), path));
                }
                Output::Floating { .. } => "floating",
                Output::Deferred => "deferred",
                Output::Impure { .. } => "impure",
            };
            Err(KindError::UnknownPath { output: name.to_string(), kind })
        };
        self.outputs.iter().map(of).collect()
    }

    /// Checks that it is of a kind that can be built here.
    ///
    /// # Errors
    /// The first thing that is not supported.
    pub fn check_buildable(&self, store: &std::path::Path) -> Result<(), KindError> {
        if self.outputs.is_empty() {
            return Err(KindError::NoOutputs);
        }
        if self.is_builtin() {
            return Err(KindError::Builtin { builder: String::from_utf8_lossy(&self.builder).into_owned() });
        }
        for (name, output) in &self.outputs {
            if let Output::Fixed { method: method @ (Method::Text | Method::Git), .. } = output {
                return Err(KindError::Method { output: name.to_string(), method: method.prefix() });
            }
        }
        self.output_paths(store).map(drop)
    }

    /// The same derivation with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Derivation<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        fn own_bytes(text: Text<'_>) -> Text<'static> {
            Cow::Owned(text.into_owned())
        }
        let inputs = self.input_derivations.into_iter();
        Derivation {
            outputs: self
                .outputs
                .into_iter()
                .map(|(name, output)| (own(name), output.into_owned()))
                .collect(),
            input_derivations: inputs
                .map(|(path, outputs)| (own(path), outputs.into_iter().map(own).collect()))
                .collect(),
            input_sources: self.input_sources.into_iter().map(own).collect(),
            platform: own(self.platform),
            builder: own_bytes(self.builder),
            arguments: self.arguments.into_iter().map(own_bytes).collect(),
            environment: self
                .environment
                .into_iter()
                .map(|(name, value)| (own_bytes(name), own_bytes(value)))
                .collect(),
        }
    }
}

impl Output<'_> {
    fn into_owned(self) -> Output<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Output::InputAddressed { path } => Output::InputAddressed { path: own(path) },
            Output::Fixed { path, method, algorithm, hash } => {
                Output::Fixed { path: own(path), method, algorithm: own(algorithm), hash: own(hash) }
            }
            Output::Floating { method, algorithm } => Output::Floating { method, algorithm: own(algorithm) },
            Output::Deferred => Output::Deferred,
            Output::Impure { method, algorithm } => Output::Impure { method, algorithm: own(algorithm) },
        }
    }
}

impl Method {
    /// The prefix of a derivation's `hashAlgo` field.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Method::Flat => "",
            Method::Recursive => "r:",
            Method::Text => "text:",
            Method::Git => "git:",
        }
    }
}
