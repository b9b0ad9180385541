//! The table at the end of a run: a line for each suite, a column for each ground.

use std::fmt;

use crate::cases::Ground;

/// How wide the first column is, and each of the others.
const NAME: usize = 36;
const CELL: usize = 26;

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
        let grounds: Vec<String> = self.grounds.iter().map(ToString::to_string).collect();
        let head = ("suite".to_owned(), grounds);
        for (name, cells) in std::iter::once(&head).chain(&self.rows) {
            write!(f, "{name:<NAME$}")?;
            for cell in cells {
                write!(f, "{cell:>CELL$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
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
        let words: Vec<Vec<String>> = table
            .to_string()
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        assert_eq!(words, [vec!["suite", "tmpfs", "loopbox"], vec!["one", "1", "3"], vec!["two", "4"]]);
    }
}
