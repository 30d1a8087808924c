//! Ends an answer before a stop string, without ever showing a part of one.

/// Watches an answer for stop strings.
#[derive(Debug)]
pub struct StopFilter {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop string.
    held: String,
}

/// What can be shown after some more text came.
#[derive(Debug, PartialEq, Eq)]
pub enum Filtered {
    Continue(String),
    /// A stop string came; this is what stood before it.
    Stop(String),
}

impl StopFilter {
    /// Empty stop strings are ignored.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), held: String::new() }
    }

    /// Takes more text and gives what is certain to stand before any stop string.
    pub fn push(&mut self, text: &str) -> Filtered {
        if self.stops.is_empty() {
            return Filtered::Continue(text.to_owned());
        }
        self.held.push_str(text);
        if let Some(start) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(start);
            return Filtered::Stop(std::mem::take(&mut self.held));
        }
        let keep = self.held.len() - self.possible_beginning();
        Filtered::Continue(self.held.drain(..keep).collect())
    }

    /// What was kept back, when the answer ends otherwise.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end of the held text that are the beginning of a stop string; the most there are.
    fn possible_beginning(&self) -> usize {
        let suffixes = self.held.char_indices().map(|(start, _)| &self.held[start..]);
        suffixes
            .filter(|suffix| self.stops.iter().any(|stop| stop.starts_with(suffix)))
            .map(str::len)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], parts: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
        let mut filter = StopFilter::new(&stops);
        let mut shown = String::new();
        for part in parts {
            match filter.push(part) {
                Filtered::Continue(text) => shown.push_str(&text),
                Filtered::Stop(text) => return (shown + &text, true),
            }
        }
        (shown + &filter.finish(), false)
    }

    #[test]
    fn an_answer_ends_before_a_stop_string_split_between_tokens() {
        assert_eq!(run(&["\nUser:"], &["Hello\nUs", "er", ": hi"]), ("Hello".into(), true));
    }

    #[test]
    fn the_beginning_of_a_stop_string_that_goes_on_otherwise_is_shown() {
        assert_eq!(run(&["###"], &["a #", "# b"]), ("a ## b".into(), false));
        assert_eq!(run(&["###"], &["a ##"]), ("a ##".into(), false));
    }

    #[test]
    fn of_two_stop_strings_the_first_in_the_text_counts() {
        assert_eq!(run(&["two", "one"], &["zero one two"]), ("zero ".into(), true));
    }

    #[test]
    fn without_stop_strings_everything_is_shown_at_once() {
        assert_eq!(run(&["", ""], &["a", "b"]), ("ab".into(), false));
    }

    proptest! {
        #[test]
        fn however_text_is_split_it_ends_at_the_same_place(
            parts in prop::collection::vec("[ab]{1,3}", 0..8),
            stop in "[ab]{1,3}",
        ) {
            let whole = parts.concat();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let expected = match whole.find(&stop) {
                Some(start) => (whole[..start].to_owned(), true),
                None => (whole.clone(), false),
            };
            prop_assert_eq!(run(&[&stop], &parts), expected);
        }
    }
}
