//! What came of the rows on one side, as it is carried out of the machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Table;

/// What came of the table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The table.
    pub table: Table,
    /// How the one command ended that built all rows that need none of their own.
    pub plain: Ended,
    /// What came of every row, by name.
    pub rows: BTreeMap<String, Came>,
}

/// What came of one row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Came {
    /// How each step ended; nothing for a row that was built together with others.
    pub steps: Vec<Ended>,
    /// The valid outputs by name: hash, size and references, as the store has them registered.
    pub outputs: BTreeMap<String, Vec<String>>,
    /// What the row's script printed.
    pub look: String,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit status; missing when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard error.
    pub said: String,
}
