//! A table for the eye: a name before each row, a column for each binary.

/// Rows under their headings, columns as wide as their widest cell.
pub(crate) fn table(headings: &[String], rows: &[Vec<String>]) -> String {
    let all: Vec<&[String]> = std::iter::once(headings).chain(rows.iter().map(Vec::as_slice)).collect();
    let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let line = |row: &&[String]| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let row = |cells: [&str; 2]| cells.map(String::from).to_vec();
        assert_eq!(table(&row(["", "a ±"]), &[row(["name", "1"]), row(["n", ""])]), "      a ±\nname  1\nn");
    }
}
