//! What an import did, and everything that an operator should look at.

use std::collections::BTreeMap;
use std::fmt;

use ctl_core::record::cut;
use serde::Serialize;

/// Notes of one kind that are listed; the rest is only counted, so that a hostile source cannot fill the memory.
const MAX_NOTES: usize = 10_000;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the source is: "controller.d", "controller.db, layout B (releases 1.0.4 and 1.0.5)".
    pub source: String,
    pub networks: Tally,
    pub members: Tally,
    /// Fields that were missing in records and got their default, by kind of record and name.
    pub defaulted: BTreeMap<String, Occurrences>,
    /// Fields that are of the moment and were not kept, likewise.
    pub dropped: BTreeMap<String, Occurrences>,
    /// Fields that mean nothing here and were kept for an export, likewise.
    pub carried: BTreeMap<String, Occurrences>,
    /// In the order in which they came up.
    pub notes: Vec<Note>,
    /// How many notes of a kind are not listed.
    pub unlisted: BTreeMap<NoteKind, u64>,
    /// How many are.
    #[serde(skip)]
    listed: BTreeMap<NoteKind, usize>,
}

/// How many records there were, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    pub found: u64,
    pub added: u64,
    /// Were there already, the same.
    pub unchanged: u64,
    /// Were there already, different, and were left as they are here.
    pub kept: u64,
    /// Were there already, different, and were replaced.
    pub replaced: u64,
    /// Could not be read, or belong to nothing.
    pub skipped: u64,
}

/// How often something occurred, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Occurrences {
    pub count: u64,
    pub first: String,
}

/// Something that an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    pub kind: NoteKind,
    /// A file, or "member 89e92ceee5 of network 8056c2e21c000001".
    pub place: String,
    pub message: String,
}

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NoteKind {
    /// Was not imported.
    Skipped,
    /// Was there already and differs; the one that is here stays.
    Differs,
    /// Was imported, but may not be or work as it was meant.
    Suspicious,
    /// Was imported as something else than it was.
    Changed,
    /// Was there already and differed; it was replaced.
    Replaced,
    /// Good to know.
    Remark,
}

impl NoteKind {
    const ALL: [Self; 6] =
        [Self::Skipped, Self::Differs, Self::Suspicious, Self::Changed, Self::Replaced, Self::Remark];

    fn title(self) -> &'static str {
        match self {
            Self::Skipped => "not imported",
            Self::Differs => "here already and different, left as it is here (--overwrite replaces it)",
            Self::Suspicious => "suspicious",
            Self::Changed => "changed",
            Self::Replaced => "replaced",
            Self::Remark => "remarks",
        }
    }
}

impl Report {
    /// Says whether somebody should look: something was not imported, differs or is suspicious.
    pub fn needs_attention(&self) -> bool {
        let serious = [NoteKind::Skipped, NoteKind::Differs, NoteKind::Suspicious];
        self.notes.iter().any(|note| serious.contains(&note.kind))
    }

    pub(super) fn note(&mut self, kind: NoteKind, place: impl fmt::Display, message: impl fmt::Display) {
        let listed = self.listed.entry(kind).or_default();
        if *listed < MAX_NOTES {
            *listed += 1;
            self.notes.push(Note { kind, place: place.to_string(), message: message.to_string() });
        } else {
            *self.unlisted.entry(kind).or_default() += 1;
        }
    }
}

impl Report {
    /// Counts a field that is kept for an export. Names come from the source, so there can be any number of them.
    pub(super) fn carry(&mut self, name: String, place: &dyn fmt::Display) {
        let name = if self.carried.len() < MAX_NOTES || self.carried.contains_key(&name) {
            cut(&name)
        } else {
            "others".to_owned()
        };
        self.carried.entry(name).or_default().add(place);
    }
}

impl Occurrences {
    pub(super) fn add(&mut self, place: &dyn fmt::Display) {
        if self.count == 0 {
            self.first = place.to_string();
        }
        self.count += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "source: {}", self.source)?;
        for (name, tally) in [("networks", &self.networks), ("members", &self.members)] {
            let Tally { found, added, unchanged, kept, replaced, skipped } = tally;
            writeln!(
                f,
                "{name}: {found} found, {added} added, {unchanged} here already, {kept} different and left, \
                 {replaced} replaced, {skipped} skipped"
            )?;
        }
        let fields = [
            ("fields that were missing, and got their default", &self.defaulted),
            ("fields that were not kept, as they are of the moment", &self.dropped),
            ("fields that mean nothing here, and are kept for an export", &self.carried),
        ];
        for (title, fields) in fields.into_iter().filter(|(_, fields)| !fields.is_empty()) {
            writeln!(f, "\n{title}:")?;
            for (name, Occurrences { count, first }) in fields {
                writeln!(f, "  {name}: {count} times, first in {first}")?;
            }
        }
        for kind in NoteKind::ALL {
            let mut notes = self.notes.iter().filter(|note| note.kind == kind).peekable();
            if notes.peek().is_some() {
                writeln!(f, "\n{}:", kind.title())?;
            }
            for Note { kind: _, place, message } in notes {
                writeln!(f, "  {}: {}", printable(place), printable(message))?;
            }
            if let Some(count) = self.unlisted.get(&kind) {
                writeln!(f, "  and {count} more")?;
            }
        }
        Ok(())
    }
}

/// Keeps texts of a source from moving the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_beyond_the_bound_are_counted_per_kind() {
        let mut report = Report::default();
        for number in 0..MAX_NOTES + 5 {
            report.note(NoteKind::Changed, number, "x");
        }
        report.note(NoteKind::Skipped, "a\x1b[2J", "b");
        assert_eq!((report.notes.len(), report.unlisted[&NoteKind::Changed]), (MAX_NOTES + 1, 5));
        let text = report.to_string();
        assert!(text.contains("and 5 more") && !text.contains('\x1b'));
        assert!(report.needs_attention());
    }
}
