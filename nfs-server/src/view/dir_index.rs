//! The names in one host directory, each with a stable cookie and the node it leads to.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use siphasher::sip::SipHasher13;

use super::attributes::Time;
use super::node::{EntryName, NodeId};

/// Cookies of host names start here; lower ones are for `.`, `..` and declared names.
pub(crate) const FIRST_COOKIE: u64 = 1 << 32;

/// The names in one directory.
///
/// Each name gets its cookie once and cookies increase, so a readdir that continues after a cookie neither skips nor
/// repeats a name, whatever is created and removed meanwhile.
pub(crate) struct DirIndex {
    names: Names,
    /// The directory's mtime and ctime when it was read.
    version: Option<(Time, Time)>,
    /// Lookups before it was read.
    pub(crate) lookups: u32,
    /// Names added and removed so far.
    changes: u64,
    /// Names when it was read last.
    loaded: usize,
}

/// A name and its node, if that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexedName {
    pub(crate) name: Arc<[u8]>,
    pub(crate) node: Option<NodeId>,
}

/// What an index has of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CachedName {
    /// It is not there.
    Absent,
    /// It leads to this node.
    Node(NodeId),
    /// It has to be looked up on the host; the result is stored if the index does not change meanwhile.
    Unknown { changes: u64 },
}

enum Names {
    /// Of a directory that cannot change: sorted, so that each gets the same cookie when they are read again.
    Fixed(Vec<IndexedName>),
    Changing(Changing),
}

#[derive(Default)]
struct Changing {
    by_cookie: BTreeMap<u64, IndexedName>,
    by_name: FxHashMap<Arc<[u8]>, u64>,
    next: u64,
    /// What decides on cookies, where it is not their age.
    order: Option<u64>,
}

impl DirIndex {
    /// The index of a directory that was not read yet.
    ///
    /// With an `order`, a name's cookie depends on it and on the name, as in file systems whose directories are hash tables.
    pub(crate) fn new(fixed: bool, order: Option<u64>) -> DirIndex {
        let names = match fixed && order.is_none() {
            true => Names::Fixed(Vec::new()),
            false => Names::Changing(Changing { order, ..Changing::default() }),
        };
        DirIndex { names, version: None, lookups: 0, changes: 0, loaded: 0 }
    }

    /// Whether the directory was read when it had these times.
    pub(crate) fn is_current(&self, version: (Time, Time)) -> bool {
        self.version == Some(version)
    }

    /// Whether the directory was read.
    pub(crate) fn is_loaded(&self) -> bool {
        self.version.is_some()
    }

    /// The number of names when it was read last.
    pub(crate) fn loaded(&self) -> usize {
        self.loaded
    }

    #[cfg(test)]
    pub(crate) fn set_loaded(&mut self, names: usize) {
        self.loaded = names;
    }

    /// Replaces the names by those that the host has now. IndexedName names keep their cookies and nodes.
    pub(crate) fn refresh(&mut self, mut names: Vec<Arc<[u8]>>, version: (Time, Time)) {
        names.sort_unstable();
        self.loaded = names.len();
        match &mut self.names {
            Names::Fixed(known) => {
                known.clear();
                known.extend(names.into_iter().map(|name| IndexedName { name, node: None }));
                known.shrink_to_fit();
            }
            Names::Changing(known) => known.refresh(&names),
        }
        self.version = Some(version);
        self.changes += 1;
    }

    /// Has the names read again at the start of the next readdir.
    pub(crate) fn expire(&mut self) {
        self.version = Some(<(Time, Time)>::default());
    }

    /// A name was created or leads to another node now.
    pub(crate) fn add(&mut self, name: &[u8], node: Option<NodeId>) {
        if let Names::Changing(names) = &mut self.names {
            names.add(name, node);
        }
        self.changes += 1;
    }

    /// A name was removed.
    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Names::Changing(names) = &mut self.names {
            names.remove(name);
        }
        self.changes += 1;
    }

    /// Names added and removed so far.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Up to `count` names after a cookie.
    pub(crate) fn after(&self, cookie: u64, count: usize) -> Vec<(u64, IndexedName)> {
        match &self.names {
            Names::Fixed(names) => {
                let start = cookie.saturating_add(1).saturating_sub(FIRST_COOKIE);
                let start = usize::try_from(start).unwrap_or(usize::MAX).min(names.len());
                let cookies = FIRST_COOKIE + start as u64..;
                cookies
                    .zip(&names[start..])
                    .take(count)
                    .map(|(cookie, known)| (cookie, known.clone()))
                    .collect()
            }
            Names::Changing(names) => {
                let after = names.by_cookie.range(cookie.saturating_add(1)..);
                after.take(count).map(|(cookie, known)| (*cookie, known.clone())).collect()
            }
        }
    }

    /// Looks up a name.
    pub(crate) fn get(&self, name: &[u8]) -> CachedName {
        let known = match &self.names {
            Names::Fixed(names) => {
                names.binary_search_by(|known| (*known.name).cmp(name)).ok().map(|at| &names[at])
            }
            Names::Changing(names) => names.by_name.get(name).and_then(|cookie| names.by_cookie.get(cookie)),
        };
        match known {
            Some(IndexedName { node: Some(node), .. }) => CachedName::Node(*node),
            None if self.is_loaded() => CachedName::Absent,
            _ => CachedName::Unknown { changes: self.changes },
        }
    }

    /// Stores the node of a name, if nothing changed since `as_of`.
    pub(crate) fn set_node(&mut self, name: &[u8], node: NodeId, as_of: u64) {
        let cookie = match &self.names {
            Names::Fixed(names) => {
                let found = names.binary_search_by(|known| (*known.name).cmp(name));
                found.ok().map(|at| FIRST_COOKIE + at as u64)
            }
            Names::Changing(names) => names.by_name.get(name).copied(),
        };
        if let Some(cookie) = cookie {
            self.set_node_at(cookie, node, as_of);
        }
    }

    /// The same, by cookie.
    pub(crate) fn set_node_at(&mut self, cookie: u64, node: NodeId, as_of: u64) {
        if as_of != self.changes {
            return;
        }
        let known = match &mut self.names {
            Names::Fixed(names) => fixed_index(cookie).and_then(|at| names.get_mut(at)),
            Names::Changing(names) => names.by_cookie.get_mut(&cookie),
        };
        if let Some(known) = known {
            known.node = Some(node);
        }
    }
}

/// The index of a cookie's name in a directory that cannot change.
fn fixed_index(cookie: u64) -> Option<usize> {
    usize::try_from(cookie.checked_sub(FIRST_COOKIE)?).ok()
}

impl Changing {
    fn refresh(&mut self, sorted: &[Arc<[u8]>]) {
        let gone: Vec<Arc<[u8]>> = self
            .by_name
            .keys()
            .filter(|known| sorted.binary_search_by(|name| (**name).cmp(known)).is_err())
            .cloned()
            .collect();
        for name in gone {
            self.remove(&name);
        }
        for name in sorted {
            if !self.by_name.contains_key(&**name) {
                self.add(Arc::clone(name), None);
            }
        }
    }

    fn add(&mut self, name: impl EntryName, node: Option<NodeId>) {
        if let Some(cookie) = self.by_name.get(name.as_ref()) {
            if let Some(known) = self.by_cookie.get_mut(cookie) {
                known.node = node;
            }
            return;
        }
        let cookie = match self.order {
            None => FIRST_COOKIE + self.next,
            Some(order) => self.free_cookie(hashed(order, name.as_ref())),
        };
        self.next += 1;
        let name: Arc<[u8]> = name.into();
        self.by_cookie.insert(cookie, IndexedName { name: Arc::clone(&name), node });
        self.by_name.insert(name, cookie);
    }

    /// This one, or the next that no other name has.
    fn free_cookie(&self, first: u64) -> u64 {
        let mut cookie = FIRST_COOKIE + first;
        while self.by_cookie.contains_key(&cookie) {
            cookie += 1;
        }
        cookie
    }

    fn remove(&mut self, name: &[u8]) {
        if let Some(cookie) = self.by_name.remove(name) {
            self.by_cookie.remove(&cookie);
        }
    }
}

/// A number that leaves room for as many again above it; clients take cookies of 63 bits (`loff_t`).
fn hashed(order: u64, name: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(order, 0);
    hasher.write(name);
    hasher.finish() >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(index: &DirIndex, after: u64) -> Vec<String> {
        let names = index.after(after, usize::MAX);
        names.iter().map(|(_, known)| String::from_utf8_lossy(&known.name).into_owned()).collect()
    }

    fn index(fixed: bool, names: &[&str]) -> DirIndex {
        let mut index = DirIndex::new(fixed, None);
        index.refresh(names.iter().map(|name| name.as_bytes().into()).collect(), Default::default());
        index
    }

    #[test]
    fn a_name_keeps_its_cookie_while_others_come_and_go() {
        let mut index = index(false, &["a", "b", "c", "d"]);
        let second = index.after(0, 2)[1].0;
        index.remove(b"a");
        index.remove(b"c");
        index.add(b"aa", None);
        assert_eq!(names(&index, second), ["d", "aa"]);
        let again = ["b", "d", "aa", "e"].iter().map(|name| name.as_bytes().into()).collect();
        index.refresh(again, Default::default());
        assert_eq!(names(&index, second), ["d", "aa", "e"]);
    }

    #[test]
    fn a_listing_that_is_doubted_is_current_for_no_time_of_change() {
        let version = (Time::new(7, 0), Time::new(7, 0));
        let mut index = DirIndex::new(false, None);
        index.refresh(vec![(*b"a").into()], version);
        assert!(index.is_current(version));
        index.expire();
        assert!(!index.is_current(version));
        assert_eq!(names(&index, 0), ["a"], "who reads on finds the names where they were");
    }

    #[test]
    fn an_order_is_the_same_each_time_and_another_with_another_number() {
        let all: Vec<String> = (0..100).map(|number| format!("name {number}")).collect();
        let listed = |order, fixed, known: usize| {
            let mut index = DirIndex::new(fixed, Some(order));
            let names = |names: &[String]| names.iter().map(|name| name.as_bytes().into()).collect();
            index.refresh(names(&all[..known]), Default::default());
            all[known..].iter().for_each(|name| index.add(name.as_bytes(), None));
            self::names(&index, 0)
        };
        let first = listed(1, true, 100);
        assert_eq!(first, listed(1, false, 40), "however it came to be");
        let second = listed(2, true, 100);
        assert!(first != second && first != all, "{first:?}");
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(first), sorted(second));
    }

    #[test]
    fn a_dropped_listing_comes_back_with_the_same_cookies() {
        assert_eq!(index(true, &["x", "y"]).after(0, 9), index(true, &["y", "x"]).after(0, 9));
        assert_eq!(names(&index(true, &["x", "y"]), FIRST_COOKIE), ["y"]);
    }

    #[test]
    fn a_name_that_a_listing_lacks_is_absent_once_it_was_read() {
        for fixed in [true, false] {
            assert!(matches!(DirIndex::new(fixed, None).get(b"a"), CachedName::Unknown { .. }));
            let mut index = index(fixed, &["a"]);
            assert_eq!(index.get(b"b"), CachedName::Absent);
            let CachedName::Unknown { changes } = index.get(b"a") else { panic!("it was not looked up") };
            index.set_node(b"a", 7, changes);
            assert_eq!(index.get(b"a"), CachedName::Node(7));
        }
    }

    #[test]
    fn what_the_host_said_before_a_name_changed_is_not_remembered() {
        let mut index = index(false, &["a"]);
        let CachedName::Unknown { changes } = index.get(b"a") else { panic!("it was not looked up") };
        index.remove(b"a");
        index.add(b"a", None);
        index.set_node(b"a", 7, changes);
        assert!(matches!(index.get(b"a"), CachedName::Unknown { .. }));
    }
    #[test]
    fn a_name_that_the_host_has_no_more_is_gone_and_comes_back_as_a_new_one() {
        let mut index = index(false, &["a", "b"]);
        let list = |names: &[&str]| names.iter().map(|name| name.as_bytes().into()).collect();
        index.refresh(list(&["b"]), Default::default());
        assert_eq!((names(&index, 0), index.get(b"a")), (vec!["b".into()], CachedName::Absent));
        index.refresh(list(&["a", "b"]), Default::default());
        assert_eq!(names(&index, 0), ["b", "a"]);
    }

    #[test]
    fn a_name_that_is_given_to_another_file_leads_to_that() {
        let mut index = index(false, &["a"]);
        index.add(b"a", Some(7));
        index.add(b"a", Some(8));
        assert_eq!((index.get(b"a"), names(&index, 0)), (CachedName::Node(8), vec!["a".into()]));
    }

    #[test]
    fn a_cookie_that_is_taken_makes_way_to_the_next() {
        let mut names = Changing::default();
        names.add(b"a".as_slice(), None);
        names.add(b"b".as_slice(), None);
        assert_eq!([0, 1, 2].map(|first| names.free_cookie(first) - FIRST_COOKIE), [2, 2, 2]);
    }
}
