//! Blocks that are put together from texts that were compressed before.
//!
//! A block is a row of sequences: a token, literals, and how much of what was written before follows, and how far back that
//! begins; the last has literals alone. Everything is said relatively, so a block may stand in another one.

use std::iter;

use lz4_flex::block;

use super::decompress;

/// A text that was compressed once and is sent again and again with other texts around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Compressed<B = Box<[u8]>> {
    /// All sequences but the last one, of which only the literals are here.
    bytes: B,
    /// Where those literals begin.
    rest: u32,
    /// Length of the text.
    length: u32,
}

impl Compressed {
    /// Compresses a text, whether that makes it shorter or not. It must be shorter than 4 GiB.
    #[must_use]
    pub fn new(text: &[u8]) -> Self {
        let mut block = vec![0; block::get_maximum_output_size(text.len())];
        let length = block::compress_into(text, &mut block).unwrap_or(0);
        block.truncate(length);
        let number = |length| u32::try_from(length).unwrap_or(u32::MAX);
        match without_last_token(&block) {
            Some((bytes, rest)) => {
                Self { bytes: bytes.into(), rest: number(rest), length: number(text.len()) }
            }
            None => Self { bytes: text.into(), rest: 0, length: number(text.len()) },
        }
    }
}

impl<B: AsRef<[u8]>> Compressed<B> {
    /// Returns what is kept of it: bytes, and the two numbers without which they say nothing.
    pub fn parts(&self) -> (&[u8], [u32; 2]) {
        (self.bytes.as_ref(), [self.rest, self.length])
    }

    /// Returns the text of which [`Self::parts`] are these.
    pub fn of_parts(bytes: B, [rest, length]: [u32; 2]) -> Self {
        Self { bytes, rest, length }
    }

    /// Returns the length of the text.
    #[must_use]
    pub fn text_len(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Returns how many bytes are kept for it.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes.as_ref().len()
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(self.size_bytes() + 8);
        let mut writer = BlockWriter::new(&mut block);
        writer.compressed(self);
        writer.finish();
        decompress(&block, self.text_len()).unwrap_or_default()
    }
}

/// Returns the block without the token and the length of its last sequence, and where the literals of that begin.
fn without_last_token(block: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut start = 0;
    loop {
        let Head { literals, after, .. } = Head::parse(block.get(start..)?)?;
        if start + after == block.len() {
            let bytes = [block.get(..start)?, block.get(start + literals..)?].concat();
            return Some((bytes, start));
        }
        start += after + match_len(block.get(start + after..)?, *block.get(start)?)?;
    }
}

/// The beginning of a sequence.
struct Head {
    /// Where its literals begin, and where they end.
    literals: usize,
    after: usize,
    /// How long a piece is repeated, as far as the token says it.
    repeated: u8,
}

impl Head {
    const LONG: u8 = 15;

    fn parse(sequence: &[u8]) -> Option<Self> {
        let token = *sequence.first()?;
        let (mut count, mut literals) = (usize::from(token >> 4), 1);
        if token >> 4 == Self::LONG {
            loop {
                let more = *sequence.get(literals)?;
                (count, literals) = (count + usize::from(more), literals + 1);
                if more < u8::MAX {
                    break;
                }
            }
        }
        Some(Self { literals, after: literals + count, repeated: token & Self::LONG })
    }

    /// Returns what stands before so many literals.
    fn octets(count: usize, repeated: u8) -> impl Iterator<Item = u8> {
        let short = u8::try_from(count).unwrap_or(Self::LONG).min(Self::LONG);
        let longer = count.checked_sub(Self::LONG.into());
        let full = longer.map_or(0, |rest| rest / usize::from(u8::MAX));
        let last = longer.and_then(|rest| u8::try_from(rest % usize::from(u8::MAX)).ok());
        iter::once(short << 4 | repeated).chain(iter::repeat_n(u8::MAX, full)).chain(last)
    }
}

/// Returns how many bytes say what is repeated, behind the literals of a sequence with this token.
fn match_len(from: &[u8], token: u8) -> Option<usize> {
    const OFFSET: usize = 2;
    if token & Head::LONG < Head::LONG {
        return Some(OFFSET);
    }
    let longer = from.get(OFFSET..)?.iter().position(|byte| *byte < u8::MAX)?;
    Some(OFFSET + longer + 1)
}

/// Puts a block together from texts that are compressed already and from others that stay as they are.
#[derive(Debug)]
pub struct BlockWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where the literals of the sequence begin that is being written; what stands before them follows when they are all
    /// there.
    literals: usize,
}

impl<'a> BlockWriter<'a> {
    /// Begins a block, which is appended to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { literals: out.len(), out }
    }

    /// Adds a text as it is.
    pub fn plain(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// Adds a text that is compressed already.
    pub fn compressed<B: AsRef<[u8]>>(&mut self, text: &Compressed<B>) {
        let bytes = text.bytes.as_ref();
        let rest = usize::try_from(text.rest).unwrap_or(0).min(bytes.len());
        let (sequences, rest) = bytes.split_at(rest);
        if let Some(head) = Head::parse(sequences)
            && let (Some(literals), Some(after)) =
                (sequences.get(head.literals..head.after), sequences.get(head.after..))
        {
            self.plain(literals);
            self.write_head(head.repeated);
            self.out.extend_from_slice(after);
            self.literals = self.out.len();
        }
        self.plain(rest);
    }

    /// Ends the block.
    pub fn finish(mut self) {
        self.write_head(0);
    }

    /// Writes what stands before the literals.
    fn write_head(&mut self, repeated: u8) {
        let octets = Head::octets(self.out.len() - self.literals, repeated);
        self.out.splice(self.literals..self.literals, octets);
    }
}
