//! The table at the end of a run: a line for each suite, a column for each ground.

use std::fmt;

use comfy_table::presets::ASCII_MARKDOWN;

use crate::cases::Ground;

/// Results by line and column, in the order in which they came.
pub struct Table {
    grounds: Vec<Ground>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// An empty one with these columns.
    pub fn new(grounds: &[Ground]) -> Table {
        Table { grounds: grounds.to_vec(), rows: Vec::new() }
    }

    /// Fills in one cell.
    pub fn set(&mut self, what: &str, ground: Ground, result: String) {
        let Some(column) = self.grounds.iter().position(|&other| other == ground) else { return };
        let row = match self.rows.iter().position(|(name, _)| name == what) {
            Some(row) => row,
            None => {
                self.rows.push((what.to_owned(), vec![String::new(); self.grounds.len()]));
                self.rows.len() - 1
            }
        };
        self.rows[row].1[column] = result;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(
            std::iter::once("suite".to_owned()).chain(self.grounds.iter().map(ToString::to_string)),
        );
        for (what, cells) in &self.rows {
            table.add_row(std::iter::once(what).chain(cells));
        }
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_suite_and_a_column_for_each_ground() {
        let mut table = Table::new(&[Ground::Tmpfs, Ground::Loopbox]);
        table.set("one", Ground::Tmpfs, "1".to_owned());
        table.set("two", Ground::Loopbox, "4".to_owned());
        table.set("one", Ground::Loopbox, "3".to_owned());
        insta::assert_snapshot!(table.to_string(), @r"
        | suite | tmpfs | loopbox |
        |-------|-------|---------|
        | one   | 1     | 3       |
        | two   |       | 4       |
        ");
    }
}
