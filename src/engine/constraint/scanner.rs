//! The words of a GBNF text: texts in quotes, sets in brackets, repetitions, names, and the space between them.

/// llama.cpp's own limit on repetitions.
pub const MOST_REPETITIONS: u64 = 2000;

/// A text that is read from its beginning to its end.
pub struct Scanner<'text> {
    text: &'text str,
    /// Bytes that were read.
    pub at: usize,
}

impl<'text> Scanner<'text> {
    pub fn new(text: &'text str) -> Self {
        Self { text, at: 0 }
    }

    /// `"text"`: how many characters it has.
    pub fn literal(&mut self) -> Result<usize, String> {
        self.at += 1;
        let mut length = 0;
        loop {
            match self.peek() {
                None => return Err("a text in quotes is not closed".into()),
                Some(b'"') => break,
                Some(_) => self.character()?,
            };
            length += 1;
        }
        self.at += 1;
        Ok(length)
    }

    /// `[a-z]`, `[^a-z]`.
    pub fn set(&mut self) -> Result<(), String> {
        self.at += 1;
        if self.peek() == Some(b'^') {
            self.at += 1;
        }
        let mut is_empty = true;
        loop {
            let first = match self.peek() {
                None => return Err("a set in brackets is not closed".into()),
                Some(b']') => break,
                Some(_) => self.character()?,
            };
            is_empty = false;
            if self.peek() == Some(b'-') && self.text.as_bytes().get(self.at + 1) != Some(&b']') {
                self.at += 1;
                if self.character()? < first {
                    return Err("a range in brackets goes backwards".into());
                }
            }
        }
        self.at += 1;
        if is_empty { Err("a set in brackets has no characters".into()) } else { Ok(()) }
    }

    /// A character of a text or a set, perhaps written as an escape.
    fn character(&mut self) -> Result<u32, String> {
        let rest = &self.text[self.at..];
        let mut characters = rest.chars();
        match characters.next() {
            None => return Err("the grammar ends in the middle".into()),
            Some('\\') => {}
            Some(character) => {
                self.at += character.len_utf8();
                return Ok(u32::from(character));
            }
        }
        let letter = characters.next().unwrap_or(' ');
        let digits = match letter {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            't' | 'r' | 'n' | '\\' | '"' | '[' | ']' | '-' => {
                self.at += 2;
                return Ok(match letter {
                    't' => 9,
                    'r' => 13,
                    'n' => 10,
                    other => u32::from(other),
                });
            }
            other => return Err(format!("there is no escape `\\{}`", shown(other))),
        };
        let hex = rest.get(2..2 + digits).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let code = code.ok_or_else(|| format!("`\\{letter}` needs {digits} hexadecimal digits"))?;
        if code > u32::from(char::MAX) {
            return Err(format!("there is no character {code:X}"));
        }
        self.at += 2 + digits;
        Ok(code)
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}` as the least and the most times.
    pub fn repetition(&mut self) -> Result<Option<(u64, Option<u64>)>, String> {
        let times = match self.peek() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => return self.braces().map(Some),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(times))
    }

    fn braces(&mut self) -> Result<(u64, Option<u64>), String> {
        self.at += 1;
        self.space(true);
        let least = self.number()?.ok_or("`{` needs a number of repetitions")?;
        self.space(true);
        let mut most = Some(least);
        if self.peek() == Some(b',') {
            self.at += 1;
            self.space(true);
            most = self.number()?;
            self.space(true);
        }
        self.expect("}")?;
        match most {
            Some(most) if most < least => Err(format!("`{{{least},{most}}}` repeats at least more often than at most")),
            _ => Ok((least, most)),
        }
    }

    fn number(&mut self) -> Result<Option<u64>, String> {
        let digits: &str = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().ok().filter(|number| *number <= MOST_REPETITIONS);
        number.map(Some).ok_or_else(|| format!("more than {MOST_REPETITIONS} repetitions are not possible"))
    }

    pub fn name(&mut self) -> Option<&'text str> {
        let name = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (!name.is_empty()).then_some(name)
    }

    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'text str {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Passes over white space and comments; over the ends of lines only where the grammar may go on behind them.
    pub fn space(&mut self, over_lines: bool) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\r' | b'\n' if over_lines => self.at += 1,
                b'#' => {
                    self.take_while(|byte| !matches!(byte, b'\r' | b'\n'));
                }
                _ => return,
            }
        }
    }

    pub fn expect(&mut self, text: &str) -> Result<(), String> {
        if !self.text[self.at..].starts_with(text) {
            return Err(format!("there must be `{text}` instead of {}", self.found()));
        }
        self.at += text.len();
        Ok(())
    }

    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What stands here, for a message.
    pub fn found(&self) -> String {
        match self.text[self.at..].chars().next() {
            None => "the end".into(),
            Some('\n' | '\r') => "the end of the line".into(),
            Some(character) => format!("`{}`", shown(character)),
        }
    }

    pub fn line_of(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

fn shown(character: char) -> String {
    if character.is_control() { character.escape_debug().collect() } else { character.into() }
}
