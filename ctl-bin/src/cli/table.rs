//! What people see: tables and colours, on a terminal that cannot be moved by what is in them.

use std::io::{self, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use tabled::builder::Builder;
use tabled::settings::{Padding, Style as Lines};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const ATTENTION: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const HEAD: Style = Style::new().bold();
pub(crate) const PLAIN: Style = Style::new();

/// A cell: what is in it, and how it looks.
pub(crate) struct Cell {
    text: String,
    style: Style,
}

/// Makes a plain cell.
pub(crate) fn cell(text: impl AsRef<str>) -> Cell {
    styled(text, PLAIN)
}

/// Makes a cell in a colour.
pub(crate) fn styled(text: impl AsRef<str>, style: Style) -> Cell {
    Cell { text: printable(text.as_ref()), style }
}

/// Replaces control characters, which could otherwise move the cursor or pretend to be other lines.
pub(crate) fn printable(text: &str) -> String {
    // Beside the controls, those that change the direction of what follows.
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    text.chars().map(|c| if is_harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// Writes a number with its noun: `1 member`, `2 members`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// Lays out rows below their heads, left-aligned.
pub(crate) fn table(heads: &[&str], rows: Vec<Vec<Cell>>) -> String {
    let mut builder = Builder::new();
    builder.push_record(heads.iter().map(|head| paint(head, HEAD)));
    for row in rows {
        builder.push_record(row.iter().map(|cell| paint(&cell.text, cell.style)));
    }
    lay_out(builder)
}

/// Lays out names and what belongs to them.
pub(crate) fn pairs(rows: Vec<(&str, Cell)>) -> String {
    let mut builder = Builder::new();
    for (name, cell) in rows {
        builder.push_record([paint(name, HEAD), paint(&cell.text, cell.style)]);
    }
    lay_out(builder)
}

fn lay_out(builder: Builder) -> String {
    let mut table = builder.build();
    let laid_out = table.with(Lines::empty()).with(Padding::new(0, 2, 0, 0)).to_string();
    let lines: Vec<_> = laid_out.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// Puts a text into a colour.
pub(crate) fn paint(text: &str, style: Style) -> String {
    if style.is_plain() || text.is_empty() { text.to_owned() } else { format!("{style}{text}{style:#}") }
}

/// Prints, with colours only on a terminal that wants them (`NO_COLOR`, `CLICOLOR_FORCE`, `TERM`); nobody may be
/// listening, which is no reason to stop.
pub(crate) fn show(text: &str) {
    let mut out = AutoStream::auto(io::stdout().lock());
    writeln!(out, "{text}").and_then(|()| out.flush()).unwrap_or(());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(counted(1, "error"), "1 error");
        assert_eq!(counted(0, "error"), "0 errors");
        assert_eq!(counted(2, "capability"), "2 capabilities");
    }

    #[test]
    fn columns_are_aligned_whatever_colour_and_width_their_texts_have() {
        let rows = vec![vec![styled("yes", GOOD), cell("日本")], vec![cell(""), cell("x")]];
        let text = anstream::adapter::strip_str(&table(&["IN", "NAME"], rows)).to_string();
        assert_eq!(text, "IN   NAME\nyes  日本\n     x");
        let text = pairs(vec![("id", cell("1")), ("long name", cell("2"))]);
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "id         1\nlong name  2");
    }

    /// A name is chosen by whoever may change members; a terminal does what it is told.
    #[test]
    fn no_text_moves_the_cursor_or_turns_the_line() {
        for harmful in ["\u{1b}[2J", "\r", "\n", "\u{9b}2J", "\u{202e}", "\u{7}"] {
            let text = printable(&format!("a{harmful}b"));
            assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text:?}");
            assert!(text.starts_with('a') && text.ends_with('b'));
        }
        assert_eq!(printable("Zürich 日本 ✓"), "Zürich 日本 ✓");
    }
}
