//! Case-insensitive lookup of declared names.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A name in lower case. Names that are not UTF-8, which APFS does not have, are folded in ASCII only.
pub(crate) fn folded(name: &[u8]) -> Box<[u8]> {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_lowercase().into_bytes().into(),
        Err(_) => name.to_ascii_lowercase().into(),
    }
}

/// Names by their folded form.
#[derive(Debug, Default)]
pub(crate) struct FoldedNames(BTreeMap<Box<[u8]>, usize>);

/// Two names that differ in case only.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CaseClash<'a> {
    pub(crate) first: &'a [u8],
    pub(crate) second: &'a [u8],
}

impl FoldedNames {
    /// The names of one directory, each with what it leads to.
    ///
    /// # Errors
    /// Two of them that are one.
    pub(crate) fn of<'a>(
        names: impl IntoIterator<Item = (&'a [u8], usize)>,
    ) -> Result<FoldedNames, CaseClash<'a>> {
        let mut known: BTreeMap<Box<[u8]>, (&[u8], usize)> = BTreeMap::new();
        for (name, index) in names {
            match known.entry(folded(name)) {
                Entry::Vacant(place) => drop(place.insert((name, index))),
                Entry::Occupied(first) => return Err(CaseClash { first: first.get().0, second: name }),
            }
        }
        Ok(FoldedNames(known.into_iter().map(|(name, (_, index))| (name, index)).collect()))
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<usize> {
        self.0.get(&folded(name)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(names: &[&'a str]) -> Result<FoldedNames, CaseClash<'a>> {
        FoldedNames::of(names.iter().map(|name| name.as_bytes()).zip(0..))
    }

    #[test]
    fn names_that_differ_in_more_than_case_are_told_apart() {
        let folded = of(&["Makefile", "makefile.in", "README", "Ärger"]).unwrap();
        assert_eq!(
            ["MAKEFILE", "readme", "äRGER"].map(|name| folded.get(name.as_bytes())),
            [Some(0), Some(2), Some(3)]
        );
        assert_eq!(folded.get(b"make"), None);
    }

    #[test]
    fn two_names_that_differ_in_case_only_are_named() {
        assert_eq!(of(&["a", "Foo", "b", "fOO"]).unwrap_err(), CaseClash { first: b"Foo", second: b"fOO" });
        assert_eq!(of(&["é", "É"]).unwrap_err(), CaseClash { first: "é".as_bytes(), second: "É".as_bytes() });
    }

    #[test]
    fn names_that_are_no_text_are_compared_by_their_bytes() {
        let names: [&[u8]; 3] = [b"\xff", b"\xfe", b"\xffA"];
        let folded = FoldedNames::of(names.into_iter().zip(0..)).unwrap();
        assert_eq!(folded.get(b"\xffa"), Some(2));
    }
}
