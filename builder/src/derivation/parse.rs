//! Reads the ATerm text of a `.drv` file. Texts without escapes are borrowed from it.

use std::borrow::Cow;

use super::{Derivation, Method, Output, Text};

/// The longest file that is read, in bytes. Texts that builders get by way of a derivation reach some megabytes.
pub const MAX_SIZE: usize = 64 << 20;

/// Why a text is not a derivation. Positions are byte offsets from the start of the file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// The file is larger than [`MAX_SIZE`].
    #[error("{size} bytes are too many for a derivation (at most {MAX_SIZE})")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// It is written in a form that needs an experimental feature of Nix.
    #[error("it is of the form DrvWithVersion (dynamic derivations), which is not supported")]
    Versioned,
    /// Some other text was expected.
    #[error("byte {at}: expected {expected}, found {found}")]
    Expected {
        /// Offset in bytes.
        at: usize,
        /// What should be there.
        expected: &'static str,
        /// The text that is there.
        found: String,
    },
    /// A text has no closing quote.
    #[error("byte {at}: the text that begins here does not end")]
    Unterminated {
        /// Where it begins.
        at: usize,
    },
    /// A text that is a name or a path is not UTF-8.
    #[error("byte {at}: the {what} that begins here is not UTF-8")]
    NotUtf8 {
        /// Where it begins.
        at: usize,
        /// The element of the derivation, as a noun.
        what: &'static str,
    },
    /// A path does not begin with a slash.
    #[error("byte {at}: {path:?} is not an absolute path")]
    Relative {
        /// Where it begins.
        at: usize,
        /// The path.
        path: String,
    },
    /// An output's path, hash algorithm and hash do not go together.
    #[error("byte {at}: output '{name}' {problem}")]
    Output {
        /// Where it begins.
        at: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Two outputs have the same name.
    #[error("byte {at}: a second output '{name}'")]
    Twice {
        /// Where the second one begins.
        at: usize,
        /// The name.
        name: String,
    },
    /// Something follows the end.
    #[error("byte {at}: {left} bytes follow the end of the derivation")]
    Trailing {
        /// Where it begins.
        at: usize,
        /// How much.
        left: usize,
    },
}

/// Reads a derivation.
///
/// # Errors
/// With the position of the first thing that is wrong.
pub fn parse(text: &[u8]) -> Result<Derivation<'_>, ParseError> {
    if text.len() > MAX_SIZE {
        return Err(ParseError::TooLarge { size: text.len() });
    }
    if text.starts_with(b"DrvWithVersion(") {
        return Err(ParseError::Versioned);
    }
    let mut parser = Parser { text, at: 0 };
    parser.expect("Derive([")?;
    let outputs = no_twins(parser.rest_of_list(|parser| Ok((parser.at, parser.output()?)))?)?;
    parser.expect(",[")?;
    let input_derivations = parser.rest_of_list(Parser::input)?;
    parser.expect(",[")?;
    let input_sources = parser.rest_of_list(|parser| parser.path("input source"))?;
    parser.expect(",")?;
    let platform = parser.name("platform")?;
    parser.expect(",")?;
    let builder = parser.text()?;
    parser.expect(",[")?;
    let arguments = parser.rest_of_list(Parser::text)?;
    parser.expect(",[")?;
    let environment = parser.rest_of_list(Parser::variable)?;
    parser.expect(")")?;
    match text.len() - parser.at {
        0 => {}
        left => return Err(ParseError::Trailing { at: parser.at, left }),
    }
    Ok(Derivation { outputs, input_derivations, input_sources, platform, builder, arguments, environment })
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    fn output(&mut self) -> Result<NamedOutput<'a>, ParseError> {
        let at = self.at;
        self.expect("(")?;
        let name = self.name("output's name")?;
        self.expect(",")?;
        let path = self.name("output's path")?;
        self.expect(",")?;
        let algorithm = self.name("hash algorithm")?;
        self.expect(",")?;
        let hash = self.name("hash")?;
        self.expect(")")?;
        let bad = |problem| ParseError::Output { at, name: name.to_string(), problem };
        if name.is_empty() {
            return Err(bad("has no name"));
        }
        if !path.is_empty() && !path.starts_with('/') {
            return Err(ParseError::Relative { at, path: path.into_owned() });
        }
        let (method, algorithm) = split_method(algorithm);
        let output = match (path.is_empty(), algorithm.is_empty(), hash.as_ref()) {
            (true, true, "") if method == Method::Flat => Output::Deferred,
            (false, true, "") if method == Method::Flat => Output::InputAddressed { path },
            (_, true, _) => return Err(bad("has a hash but no algorithm")),
            (true, false, "impure") => Output::Impure { method, algorithm },
            (true, false, "") => Output::Floating { method, algorithm },
            (false, false, "" | "impure") => return Err(bad("has a path that cannot be known yet")),
            (true, false, _) => return Err(bad("has a fixed hash but no path")),
            (false, false, _) => Output::Fixed { path, method, algorithm, hash },
        };
        Ok((name, output))
    }

    fn input(&mut self) -> Result<(Cow<'a, str>, Vec<Cow<'a, str>>), ParseError> {
        self.expect("(")?;
        let path = self.path("input derivation")?;
        self.expect(",[")?;
        let outputs = self.rest_of_list(|parser| parser.name("output's name"))?;
        self.expect(")")?;
        Ok((path, outputs))
    }

    fn variable(&mut self) -> Result<(Text<'a>, Text<'a>), ParseError> {
        self.expect("(")?;
        let name = self.text()?;
        self.expect(",")?;
        let value = self.text()?;
        self.expect(")")?;
        Ok((name, value))
    }

    /// The items of a list whose opening bracket has been read, and its closing bracket.
    fn rest_of_list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        if self.skip(b']') {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.skip(b']') {
                return Ok(items);
            }
            if !self.skip(b',') {
                return Err(self.expected("',' or ']'"));
            }
        }
    }

    fn path(&mut self, what: &'static str) -> Result<Cow<'a, str>, ParseError> {
        let at = self.at;
        let path = self.name(what)?;
        if path.starts_with('/') {
            Ok(path)
        } else {
            Err(ParseError::Relative { at, path: path.into_owned() })
        }
    }

    fn name(&mut self, what: &'static str) -> Result<Cow<'a, str>, ParseError> {
        let at = self.at;
        let not_utf8 = |_| ParseError::NotUtf8 { at, what };
        match self.text()? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(not_utf8),
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|error| not_utf8(error.utf8_error()))
            }
        }
    }

    fn text(&mut self) -> Result<Text<'a>, ParseError> {
        let at = self.at;
        if !self.skip(b'"') {
            return Err(self.expected("a text in quotes"));
        }
        let rest = &self.text[self.at..];
        let unterminated = ParseError::Unterminated { at };
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            None => return Err(unterminated),
            Some(end) if rest[end] == b'"' => {
                self.at += end + 1;
                return Ok(Cow::Borrowed(&rest[..end]));
            }
            Some(_) => {}
        }
        let mut unescaped = Vec::new();
        let mut bytes = rest.iter().enumerate();
        while let Some((place, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.at += place + 1;
                    return Ok(Cow::Owned(unescaped));
                }
                b'\\' => unescaped.push(match bytes.next() {
                    Some((_, b'n')) => b'\n',
                    Some((_, b'r')) => b'\r',
                    Some((_, b't')) => b'\t',
                    Some((_, other)) => *other,
                    None => return Err(unterminated),
                }),
                other => unescaped.push(*other),
            }
        }
        Err(unterminated)
    }

    fn expect(&mut self, text: &'static str) -> Result<(), ParseError> {
        if !self.text[self.at..].starts_with(text.as_bytes()) {
            return Err(self.expected(text));
        }
        self.at += text.len();
        Ok(())
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        const SHOWN: usize = 16;
        let found = match &self.text[self.at..] {
            [] => "the end of the file".into(),
            rest => format!("{:?}", String::from_utf8_lossy(&rest[..rest.len().min(SHOWN)])),
        };
        ParseError::Expected { at: self.at, expected, found }
    }
}

type NamedOutput<'a> = (Cow<'a, str>, Output<'a>);

fn no_twins(placed: Vec<(usize, NamedOutput<'_>)>) -> Result<Vec<NamedOutput<'_>>, ParseError> {
    let mut outputs: Vec<NamedOutput<'_>> = Vec::with_capacity(placed.len());
    for (at, (name, output)) in placed {
        if outputs.iter().any(|(other, _)| *other == name) {
            return Err(ParseError::Twice { at, name: name.into_owned() });
        }
        outputs.push((name, output));
    }
    Ok(outputs)
}

fn split_method(algorithm: Cow<'_, str>) -> (Method, Cow<'_, str>) {
    let found = [Method::Recursive, Method::Text, Method::Git]
        .into_iter()
        .find(|method| algorithm.starts_with(method.prefix()));
    let Some(method) = found else { return (Method::Flat, algorithm) };
    let length = method.prefix().len();
    let rest = match algorithm {
        Cow::Borrowed(text) => Cow::Borrowed(&text[length..]),
        Cow::Owned(text) => Cow::Owned(text[length..].to_owned()),
    };
    (method, rest)
}
