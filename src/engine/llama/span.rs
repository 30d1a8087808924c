//! Ranges of positions as llama.cpp may be handed them.

/// Positions from `start` to before `end`: neither empty, reversed nor beyond llama.cpp's 32 bits. llama.cpp itself
/// checks none of this (CVE-2026-21869), so its raw ranges are made from nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: i32,
    end: i32,
}

impl Span {
    /// `None` for an empty, reversed or too large range.
    pub fn new(start: u32, end: u32) -> Option<Self> {
        let (start, end) = (i32::try_from(start).ok()?, i32::try_from(end).ok()?);
        (start < end).then_some(Self { start, end })
    }

    pub(super) fn start(self) -> i32 {
        self.start
    }

    pub(super) fn end(self) -> i32 {
        self.end
    }

    /// How far to move so that it begins at `position`.
    pub(super) fn distance_to(self, position: u32) -> Option<i32> {
        i32::try_from(position).ok().map(|position| position - self.start)
    }

    /// All of them.
    #[cfg(test)]
    pub fn positions(&self) -> impl Iterator<Item = u32> + use<> {
        self.start.unsigned_abs()..self.end.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_that_llama_cpp_understands_can_be_made() {
        assert!(Span::new(0, 1).is_some());
        for (start, end) in [(0, 0), (5, 4), (0, u32::MAX), (u32::MAX - 1, u32::MAX), (1 << 31, (1 << 31) + 1)] {
            assert_eq!(Span::new(start, end), None, "{start}..{end}");
        }
    }
}
