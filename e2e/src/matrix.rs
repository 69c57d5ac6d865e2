//! A table of results: every cell is tried, the whole table is printed, and one bad cell fails the test.

use crate::place;
use anyhow::{Context, Result, bail};
use std::fmt::{Display, Write as _};

/// What came out, or why it did not.
type Cell = Result<String, String>;

/// Rows and columns, and what came out where they cross.
#[derive(Debug)]
pub struct Matrix {
    name: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<Cell>>)>,
}

impl Matrix {
    /// A table without results. `name` is the title, and the name of the file that it is kept in.
    pub fn new<R: Display, C: Display>(
        name: &str,
        rows: impl IntoIterator<Item = R>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        let columns: Vec<String> = columns.into_iter().map(|column| column.to_string()).collect();
        let rows = rows.into_iter().map(|row| (row.to_string(), vec![None; columns.len()]));
        Self { name: name.to_owned(), rows: rows.collect(), columns }
    }

    /// Enters a result.
    pub fn set<T: Display>(&mut self, row: usize, column: usize, result: Result<T>) {
        let cells = self.rows.get_mut(row).map(|(_, cells)| cells);
        if let Some(cell) = cells.and_then(|cells| cells.get_mut(column)) {
            *cell = Some(result.map(|value| value.to_string()).map_err(|error| format!("{error:#}")));
        }
    }

    /// The table as Markdown; a cell that was not tried is a dash.
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "### {}\n\n| | {} |\n|---|{}\n",
            self.name,
            self.columns.join(" | "),
            "---|".repeat(self.columns.len())
        );
        for (row, cells) in &self.rows {
            let cells = cells.iter().map(|cell| match cell {
                None => "–".to_owned(),
                Some(Ok(text)) => format!("ok: {text}"),
                Some(Err(_)) => "**failed**".to_owned(),
            });
            let line = cells.collect::<Vec<_>>().join(" | ");
            writeln!(out, "| {row} | {line} |").unwrap_or_default();
        }
        out
    }

    /// Keeps the table in the target directory, for `make test-all` to collect, and judges it.
    ///
    /// # Errors
    /// When a cell failed or was not tried: all of them, with their reasons.
    pub fn finish(&self) -> Result<()> {
        let path = place::kept("tables")?.join(format!("{}.md", self.name.replace(' ', "-")));
        std::fs::write(&path, self.markdown()).with_context(|| path.display().to_string())?;
        self.verdict()
    }

    fn verdict(&self) -> Result<()> {
        let mut faults = String::new();
        for (row, cells) in &self.rows {
            for (column, cell) in self.columns.iter().zip(cells) {
                match cell {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => write!(faults, "\n{row} × {column}: {error}").unwrap_or_default(),
                    None => write!(faults, "\n{row} × {column}: not tried").unwrap_or_default(),
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
}
