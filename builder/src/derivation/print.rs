//! Writes a derivation as the ATerm text that Nix writes.

use super::{Derivation, Output};

impl Derivation<'_> {
    /// The text of its file; of a derivation that was parsed, the very bytes that were read when Nix wrote them.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut to = b"Derive(".to_vec();
        list(&mut to, &self.outputs, |to, (name, output)| {
            let (path, algorithm, hash) = output.fields();
            tuple(to, &[name.as_bytes(), path.as_bytes(), algorithm.as_bytes(), hash.as_bytes()]);
        });
        to.push(b',');
        list(&mut to, &self.input_derivations, |to, (path, outputs)| {
            to.push(b'(');
            text(to, path.as_bytes());
            to.push(b',');
            list(to, outputs, |to, name| text(to, name.as_bytes()));
            to.push(b')');
        });
        to.push(b',');
        list(&mut to, &self.input_sources, |to, path| text(to, path.as_bytes()));
        to.push(b',');
        text(&mut to, self.platform.as_bytes());
        to.push(b',');
        text(&mut to, &self.builder);
        to.push(b',');
        list(&mut to, &self.arguments, |to, argument| text(to, argument));
        to.push(b',');
        list(&mut to, &self.environment, |to, (name, value)| tuple(to, &[name, value]));
        to.push(b')');
        to
    }
}

impl Output<'_> {
    /// Path, hash algorithm and hash as the file has them.
    fn fields(&self) -> (&str, String, &str) {
        match self {
            Output::InputAddressed { path } => (path, String::new(), ""),
            Output::Fixed { path, method, algorithm, hash } => {
                (path, format!("{}{algorithm}", method.prefix()), hash)
            }
            Output::Floating { method, algorithm } => ("", format!("{}{algorithm}", method.prefix()), ""),
            Output::Deferred => ("", String::new(), ""),
            Output::Impure { method, algorithm } => ("", format!("{}{algorithm}", method.prefix()), "impure"),
        }
    }
}

fn list<T>(to: &mut Vec<u8>, items: &[T], mut print: impl FnMut(&mut Vec<u8>, &T)) {
    to.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            to.push(b',');
        }
        print(to, item);
    }
    to.push(b']');
}

fn tuple(to: &mut Vec<u8>, texts: &[&[u8]]) {
    to.push(b'(');
    for (place, item) in texts.iter().enumerate() {
        if place > 0 {
            to.push(b',');
        }
        text(to, item);
    }
    to.push(b')');
}

fn text(to: &mut Vec<u8>, bytes: &[u8]) {
    to.push(b'"');
    for byte in bytes {
        match byte {
            b'"' | b'\\' => to.extend([b'\\', *byte]),
            b'\n' => to.extend(b"\\n"),
            b'\r' => to.extend(b"\\r"),
            b'\t' => to.extend(b"\\t"),
            _ => to.push(*byte),
        }
    }
    to.push(b'"');
}
