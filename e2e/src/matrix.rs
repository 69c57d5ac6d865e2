//! A table of results: every cell is tried, the whole table is printed, and one bad cell fails the test.

use crate::place;
use anyhow::{Context, Result, bail};
use std::fmt::{Display, Write as _};

/// What came out, or why it did not.
#[derive(Debug, Clone)]
enum Cell {
    Untried,
    Good(String),
    Bad(String),
    /// It cannot be, for this reason.
    Impossible(String),
    /// It is left to another run.
    Left,
}

/// Rows and columns, and what came out where they cross.
#[derive(Debug)]
pub struct Matrix {
    name: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Matrix {
    /// A table without results. `name` is the title, and the name of the file that it is kept in.
    pub fn new<R: Display, C: Display>(
        name: &str,
        rows: impl IntoIterator<Item = R>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        let columns: Vec<String> = columns.into_iter().map(|column| column.to_string()).collect();
        let rows = rows.into_iter().map(|row| (row.to_string(), vec![Cell::Untried; columns.len()]));
        Self { name: name.to_owned(), rows: rows.collect(), columns }
    }

    /// Enters a result.
    pub fn set<T: Display>(&mut self, row: usize, column: usize, result: Result<T>) {
        let cell = result
            .map_or_else(|error| Cell::Bad(format!("{error:#}")), |value| Cell::Good(value.to_string()));
        self.enter(row, column, cell);
    }

    /// Says why a cell cannot be.
    pub fn impossible(&mut self, row: usize, column: usize, reason: &str) {
        self.enter(row, column, Cell::Impossible(reason.to_owned()));
    }

    /// Leaves a cell to another run: one that takes all of them.
    pub fn leave(&mut self, row: usize, column: usize) {
        self.enter(row, column, Cell::Left);
    }

    fn enter(&mut self, row: usize, column: usize, entry: Cell) {
        let cells = self.rows.get_mut(row).map(|(_, cells)| cells);
        if let Some(cell) = cells.and_then(|cells| cells.get_mut(column)) {
            *cell = entry;
        }
    }

    /// The table as Markdown. A cell that was not tried is a dash, one that is left out a dot; the reasons of those that
    /// cannot be stand below.
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "### {}\n\n| | {} |\n|---|{}\n",
            self.name,
            self.columns.join(" | "),
            "---|".repeat(self.columns.len())
        );
        let mut reasons: Vec<&str> = vec![];
        for (row, cells) in &self.rows {
            let cells = cells.iter().map(|cell| match cell {
                Cell::Untried => "–".to_owned(),
                Cell::Left => "·".to_owned(),
                Cell::Good(text) => format!("ok: {text}"),
                Cell::Bad(_) => "**failed**".to_owned(),
                Cell::Impossible(reason) => {
                    let known = reasons.iter().position(|known| known == reason);
                    let at = known.unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    format!("impossible ({})", at + 1)
                }
            });
            let line = cells.collect::<Vec<_>>().join(" | ");
            writeln!(out, "| {row} | {line} |").unwrap_or_default();
        }
        for (at, reason) in reasons.iter().enumerate() {
            let gap = if at == 0 { "\n" } else { "" };
            writeln!(out, "{gap}{}. {reason}", at + 1).unwrap_or_default();
        }
        out
    }

    /// Keeps the table in the target directory, for `make test-all` to collect, and judges it.
    ///
    /// # Errors
    /// When a cell failed or was not tried: all of them, with their reasons.
    pub fn finish(&self) -> Result<()> {
        let path = place::kept("tables")?.join(format!("{}.md", self.name.replace([' ', ','], "-")));
        std::fs::write(&path, self.markdown()).with_context(|| path.display().to_string())?;
        self.verdict()
    }

    fn verdict(&self) -> Result<()> {
        let mut faults = String::new();
        for (row, cells) in &self.rows {
            for (column, cell) in self.columns.iter().zip(cells) {
                match cell {
                    Cell::Good(_) | Cell::Impossible(_) | Cell::Left => {}
                    Cell::Bad(error) => write!(faults, "\n{row} × {column}: {error}").unwrap_or_default(),
                    Cell::Untried => write!(faults, "\n{row} × {column}: not tried").unwrap_or_default(),
                }
            }
        }
        if faults.is_empty() { Ok(()) } else { bail!("{}:{faults}", self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_table_shows_every_cell_and_one_bad_cell_fails_it() {
        let mut matrix = Matrix::new("table", ["a", "b"], [1, 2]);
        matrix.set(0, 0, Ok("5 frames"));
        matrix.set(0, 1, Err::<u8, _>(anyhow!("no picture")));
        matrix.set(1, 0, Ok("6 frames"));
        let text = matrix.markdown();
        assert!(text.contains("| a | ok: 5 frames | **failed** |\n| b | ok: 6 frames | – |\n"), "{text}");
        let error = matrix.verdict().unwrap_err().to_string();
        assert!(error.contains("a × 2: no picture") && error.contains("b × 2: not tried"), "{error}");
    }

    #[test]
    fn what_cannot_be_has_its_reason_and_fails_nothing() {
        let mut matrix = Matrix::new("table", ["a", "b"], [1, 2]);
        matrix.impossible(0, 0, "no HEVC");
        matrix.impossible(0, 1, "no AV1");
        matrix.impossible(1, 0, "no HEVC");
        matrix.leave(1, 1);
        let text = matrix.markdown();
        let rows = "| a | impossible (1) | impossible (2) |\n| b | impossible (1) | · |\n";
        assert!(text.ends_with(&format!("{rows}\n1. no HEVC\n2. no AV1\n")), "{text}");
        matrix.verdict().unwrap();
    }
}
