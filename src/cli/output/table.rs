//! Lists for the eye: rows under their headings, in the width that a terminal has.
//!
//! What does not fit gives way by its importance: long cells are cut to a modest width, then the least important column is cut short,
//! or left out, then the next; what that leaves goes back to the cells that were cut. Off a terminal all of it is printed.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A column of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    heading: &'static str,
    /// How soon it gives way: the highest first; 0 never.
    gives: u8,
    /// Whether a part of a cell says something: of a URL it does, of a time it does not.
    cuts: bool,
}

impl Column {
    /// A column that stays, whatever the width.
    pub(crate) const fn kept(heading: &'static str) -> Self {
        Self { heading, gives: 0, cuts: false }
    }

    /// A column that is cut short or left out where there is no room.
    pub(crate) const fn text(heading: &'static str, gives: u8) -> Self {
        Self { heading, gives, cuts: true }
    }

    /// A column that is left out where there is no room, and never cut.
    pub(crate) const fn whole(heading: &'static str, gives: u8) -> Self {
        Self { heading, gives, cuts: false }
    }
}

/// Rows under their headings, columns as wide as their widest cell, lines no longer than `width`; nothing at all without rows.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let headings: Vec<String> = columns.iter().map(|column| column.heading.to_owned()).collect();
    let all: Vec<&[String]> = std::iter::once(headings.as_slice()).chain(rows.iter().map(Vec::as_slice)).collect();
    let widest = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max();
    let mut widths: Vec<Option<usize>> = (0..columns.len()).map(widest).collect();
    width.into_iter().for_each(|width| fit(columns, &mut widths, width));
    let lines: Vec<String> = all.iter().map(|row| line(row, &widths)).collect();
    lines.join("\n")
}

/// Columns and rows without the column of this heading.
pub(crate) fn without(heading: &str, columns: &[Column], rows: Vec<Vec<String>>) -> (Vec<Column>, Vec<Vec<String>>) {
    let stays: Vec<bool> = columns.iter().map(|column| column.heading != heading).collect();
    let row = |row: Vec<String>| row.into_iter().zip(&stays).filter_map(|(cell, stays)| stays.then_some(cell)).collect();
    let rows = rows.into_iter().map(row).collect();
    (columns.iter().zip(&stays).filter_map(|(column, stays)| stays.then_some(*column)).collect(), rows)
}

/// Fits a line into `width`: no long cell keeps its whole width while another column is left out for it.
fn fit(columns: &[Column], widths: &mut [Option<usize>], width: usize) {
    let whole = widths.to_vec();
    for (column, own) in columns.iter().zip(widths.iter_mut()).filter(|(column, _)| column.cuts) {
        *own = own.map(|own| if column.gives > 0 { own.min(MODEST) } else { own });
    }
    give_way(columns, widths, width);
    grow(columns, &whole, widths, width);
}

/// Takes width from the columns until a line fits; `None`: the column is left out.
fn give_way(columns: &[Column], widths: &mut [Option<usize>], width: usize) {
    let mut order: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].gives > 0).collect();
    order.sort_by_key(|at| std::cmp::Reverse(columns[*at].gives));
    for at in order {
        let excess = length(widths).saturating_sub(width);
        if excess == 0 {
            return;
        }
        let left = widths[at].map(|own| own.saturating_sub(excess));
        widths[at] = left.filter(|left| columns[at].cuts && *left >= CUT_LEAST);
    }
}

/// Gives the room that is left of a line to the columns that were cut, the most important first.
fn grow(columns: &[Column], whole: &[Option<usize>], widths: &mut [Option<usize>], width: usize) {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|at| columns[*at].gives);
    for at in order {
        let left = width.saturating_sub(length(widths));
        widths[at] = widths[at].zip(whole[at]).map(|(own, whole)| whole.min(own + left));
    }
}

/// Of a whole line.
fn length(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP.len() * shown.count().saturating_sub(1)
}

fn line(row: &[String], widths: &[Option<usize>]) -> String {
    let shown = row.iter().zip(widths).filter_map(|(cell, width)| width.map(|width| (cell, width)));
    let cells = shown.map(|(cell, width)| padded(cut(cell, width), width));
    cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
}

/// A character of East Asia takes two places on a terminal (UAX 11), a combining one none.
fn padded(mut cell: String, width: usize) -> String {
    cell.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
    cell
}

fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut shown = String::new();
    for char in cell.chars() {
        if shown.width() + char.width().unwrap_or_default() >= width {
            break;
        }
        shown.push(char);
    }
    shown + "…"
}

/// Between two columns.
const GAP: &str = "  ";

/// What a long cell keeps while other columns need the room: enough to know a name, a tenant or a host by.
const MODEST: usize = 20;

/// Fewer characters than this say too little to be worth their place.
const CUT_LEAST: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 5] = [
        Column::kept("ID"),
        Column::text("NAME", 1),
        Column::kept("STATUS"),
        Column::whole("CREATED", 2),
        Column::text("URL", 3),
    ];

    fn rows() -> Vec<Vec<String>> {
        let row =
            ["wh_0123456789", "a-name-of-sixteen", "active", "2026-03-01T10:02:11Z", "https://hooks.example.com/a/long/path"];
        vec![row.map(str::to_owned).to_vec()]
    }

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [vec!["wh_1".to_owned(), "active".to_owned()], vec!["wh_22".to_owned(), String::new()]];
        let columns = [Column::kept("ID"), Column::kept("STATUS")];
        assert_eq!(table(&columns, &rows, None), "ID     STATUS\nwh_1   active\nwh_22");
        assert_eq!(table(&columns, &[], Some(80)), "");
    }

    #[test]
    fn columns_give_way_by_their_importance() {
        let shown = |width| table(&COLUMNS, &rows(), Some(width)).lines().last().map(str::to_owned).expect("a row");
        assert_eq!(
            shown(120),
            "wh_0123456789  a-name-of-sixteen  active  2026-03-01T10:02:11Z  https://hooks.example.com/a/long/path"
        );
        assert_eq!(shown(80), "wh_0123456789  a-name-of-sixteen  active  2026-03-01T10:02:11Z  https://hooks.e…");
        assert_eq!(shown(70), "wh_0123456789  a-name-of-sixteen  active  2026-03-01T10:02:11Z");
        assert_eq!(shown(45), "wh_0123456789  a-name-of-sixteen  active");
        assert_eq!(shown(36), "wh_0123456789  a-name-of-si…  active");
        assert_eq!(shown(5), "wh_0123456789  active", "what names a row and its state stays");
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_while_a_column_can_give_way() {
        for width in 23..200 {
            let lines = table(&COLUMNS, &rows(), Some(width));
            assert!(lines.lines().all(|line| line.chars().count() <= width), "{width}\n{lines}");
        }
    }

    #[test]
    fn a_long_cell_drives_no_column_out_that_fits_beside_a_modest_one() {
        let columns = [Column::kept("ID"), Column::text("NAME", 1), Column::whole("LAST", 2), Column::text("URL", 3)];
        let row = ["wh_1", "a-name-that-is-longer-than-any-line", "timeout", "https://example.com/"].map(str::to_owned);
        let shown = |width| table(&columns, &[row.to_vec()], Some(width)).lines().last().map(str::to_owned).expect("a row");
        assert_eq!(shown(35), "wh_1  a-name-that-is-long…  timeout");
        assert_eq!(shown(45), "wh_1  a-name-that-is-longer-than-an…  timeout");
        assert_eq!(shown(57), "wh_1  a-name-that-is-long…  timeout  https://example.com/");
        assert_eq!(shown(80), "wh_1  a-name-that-is-longer-than-any-line  timeout  https://example.com/");
    }

    #[test]
    fn wide_characters_take_the_places_that_a_terminal_gives_them() {
        let rows = [vec!["日本語".to_owned(), "x".to_owned()], vec!["e\u{301}a".to_owned(), "y".to_owned()]];
        let columns = [Column::text("NAME", 1), Column::kept("STATUS")];
        assert_eq!(table(&columns, &rows, None), "NAME    STATUS\n日本語  x\ne\u{301}a      y");
        assert_eq!((cut("日本語の名前", 6), cut("日本語の名前", 7)), ("日本…".into(), "日本語…".into()));
    }

    #[test]
    fn a_column_that_says_nothing_new_is_left_out_everywhere() {
        let (columns, rows) = without("CREATED", &COLUMNS, rows());
        assert!(columns.len() == 4 && rows[0].len() == 4 && !rows[0].contains(&"2026-03-01T10:02:11Z".to_owned()));
        assert_eq!(without("NONE", &COLUMNS, self::rows()).1, self::rows());
    }

    #[test]
    fn off_a_terminal_everything_is_printed() {
        assert!(table(&COLUMNS, &rows(), None).contains("https://hooks.example.com/a/long/path"));
    }
}
