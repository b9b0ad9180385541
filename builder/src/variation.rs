//! What can be varied in a build, to find out what its outputs depend on.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use sandbox::jail::{Ids, JailSpec};
use sandbox::view::{FileIdOrder, ViewVariation};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::Settings;

/// The order of names that is another one, if no number is given.
const ORDER: u64 = 1;
/// How much later files seem to be made, in seconds: 400 days, so that every part of a date is another.
const LATER: i64 = 400 * 24 * 60 * 60 + 3_723;
/// How far ids are from what they usually are.
const OTHER_ID: u32 = 1234;
/// The name of the machine.
const HOSTNAME: &str = "varied";
/// Nobody but the owner is given any permission.
const UMASK: u32 = 0o077;
/// What the build directory's path ends with.
const ELSEWHERE: &str = "-varied";

/// One thing that is otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variation {
    /// Names in a directory are listed in another order, which the number decides on.
    ReaddirOrder(u64),
    /// Files that the build makes seem to be made 400 days later. The clock says what it says.
    Times,
    /// Files have inode numbers in the opposite order.
    Inodes,
    /// The builder has another user and group id.
    Uid,
    /// The machine has another name.
    Hostname,
    /// The builder begins with the umask 077, and not 022.
    Umask,
    /// The build directory is at another path.
    BuildPath,
}

/// A word that is no variation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no variation {0:?}: readdir-order[=NUMBER], times, inodes, uid, hostname, umask, build-path"
)]
pub struct UnknownVariation(String);

/// The variations of one build.
#[derive(Clone, Debug, Default)]
pub struct VariationSet {
    /// What differs from other builds.
    pub list: Vec<Variation>,
    /// When it seems to begin as far as files tell, in seconds since 1970. Then inode numbers are the same each time too, if
    /// files are made in the same order. `None` if files tell what the host says.
    pub begins: Option<i64>,
}

impl Variation {
    /// All of them.
    pub const ALL: [Variation; 7] = [
        Variation::ReaddirOrder(ORDER),
        Variation::Times,
        Variation::Inodes,
        Variation::Uid,
        Variation::Hostname,
        Variation::Umask,
        Variation::BuildPath,
    ];
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variation::ReaddirOrder(ORDER) => "readdir-order",
            Variation::ReaddirOrder(number) => return write!(f, "readdir-order={number}"),
            Variation::Times => "times",
            Variation::Inodes => "inodes",
            Variation::Uid => "uid",
            Variation::Hostname => "hostname",
            Variation::Umask => "umask",
            Variation::BuildPath => "build-path",
        })
    }
}

impl Serialize for Variation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Variation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Variation, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Variation {
    type Err = UnknownVariation;

    fn from_str(word: &str) -> Result<Variation, UnknownVariation> {
        if let Some(number) = word.strip_prefix("readdir-order=").and_then(|number| number.parse().ok()) {
            return Ok(Variation::ReaddirOrder(number));
        }
        let found = Variation::ALL.into_iter().find(|variation| variation.to_string() == word);
        found.ok_or_else(|| UnknownVariation(word.into()))
    }
}

impl VariationSet {
    /// Nix's settings for such a build.
    #[must_use]
    pub fn settings<'s>(&self, settings: &'s Settings) -> Cow<'s, Settings> {
        if !self.list.contains(&Variation::BuildPath) {
            return Cow::Borrowed(settings);
        }
        let mut path = settings.sandbox_build_dir.clone().into_os_string();
        path.push(ELSEWHERE);
        Cow::Owned(Settings { sandbox_build_dir: PathBuf::from(path), ..settings.clone() })
    }

    /// The ids of the builder, where it can have any.
    #[must_use]
    pub fn ids(&self, usual: Ids) -> Ids {
        match self.list.contains(&Variation::Uid) {
            true => Ids { uid: usual.uid + OTHER_ID, gid: usual.gid + OTHER_ID },
            false => usual,
        }
    }

    /// The jail of the builder, but for its ids.
    #[must_use]
    pub fn jail(&self, usual: JailSpec) -> JailSpec {
        let mut jail = usual;
        for variation in &self.list {
            match variation {
                Variation::Hostname => jail.hostname = HOSTNAME.into(),
                Variation::Umask => jail.umask = UMASK,
                _ => {}
            }
        }
        jail
    }

    /// What its view shows.
    #[must_use]
    pub fn view(&self) -> ViewVariation {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // The host's own numbers are others each time.
        let fileids = self.begins.map(|_| FileIdOrder::Ascending);
        let mut view = ViewVariation { opened_at: self.begins, fileids, ..ViewVariation::default() };
        for variation in &self.list {
            match variation {
                Variation::ReaddirOrder(number) => view.readdir_order = Some(*number),
                Variation::Inodes => view.fileids = Some(FileIdOrder::Descending),
                Variation::Times => {
                    let begins = self.begins.unwrap_or_else(|| i64::try_from(now()).unwrap_or_default());
                    view.opened_at = Some(begins + LATER);
                }
                _ => {}
            }
        }
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_known_by_its_word() {
        for variation in Variation::ALL.into_iter().chain([Variation::ReaddirOrder(42)]) {
            assert_eq!(variation.to_string().parse(), Ok(variation));
        }
        for word in ["", "time", "readdir-order=", "readdir-order=x", "uid=3"] {
            assert_eq!(word.parse::<Variation>(), Err(UnknownVariation(word.into())), "{word}");
        }
    }

    #[test]
    fn each_makes_one_thing_otherwise() {
        let usual = VariationSet::default();
        assert_eq!(usual.view(), ViewVariation::default());
        let only = |variation| VariationSet { list: vec![variation], begins: Some(1000) };
        let plain = VariationSet { begins: Some(1000), ..VariationSet::default() };
        let ids = Ids { uid: 1000, gid: 100 };
        let jail = || JailSpec::new(sandbox::jail::User::new(1, 1), "/b", Vec::new());
        for variation in Variation::ALL {
            let variations = only(variation);
            let differs = [
                variations.view() != plain.view(),
                variations.ids(ids) != ids,
                variations.jail(jail()) != jail(),
                variations.list.contains(&Variation::BuildPath),
            ];
            assert_eq!(differs.into_iter().filter(|differs| *differs).count(), 1, "{variation}");
        }
        assert_eq!(only(Variation::Times).view().opened_at, Some(1000 + LATER));
    }
}
