//! LaTeX's formulas as trees. What is not known makes a whole formula unknown: half of it in Unicode would be worse
//! than its source.

use super::symbols::{self, Class};
use super::tree::{Grid, Node, grid_or_row, in_alphabet, with_script};

/// Formulas nest no deeper than this.
const DEEPEST: usize = 40;

/// The tree of a formula.
pub fn parse(tex: &str) -> Option<Node> {
    let mut parser = Parser { rest: tex, depth: 0 };
    let rows = parser.rows()?;
    if !parser.rest.is_empty() {
        return None;
    }
    Some(grid_or_row(rows, "", "", true))
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
        while let Some(comment) = self.rest.strip_prefix('%') {
            self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest).trim_start();
        }
    }

    fn next_character(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        Some(character)
    }

    /// The name of the command at the start of the rest: letters, or one other character.
    fn command(&self) -> Option<&'a str> {
        let name = self.rest.strip_prefix('\\')?;
        let letters = name.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(name.len());
        let length = if letters > 0 { letters } else { name.chars().next()?.len_utf8() };
        Some(&name[..length])
    }

    fn take_command(&mut self) -> Option<&'a str> {
        let name = self.command()?;
        self.rest = &self.rest[1 + name.len()..];
        Some(name)
    }

    /// Rows of cells up to what ends them.
    fn rows(&mut self) -> Option<Vec<Vec<Node>>> {
        let mut rows = vec![Vec::new()];
        loop {
            let cell = self.row()?;
            if let Some(row) = rows.last_mut() {
                row.push(cell);
            }
            if self.peek() == Some('&') {
                self.next_character();
            } else if self.command() == Some("\\") {
                self.take_command();
                self.skip_spaces();
                // The space between two rows, as in `\\[2pt]`.
                let space = self.rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                if let Some((_, rest)) =
                    space.filter(|(length, _)| length.ends_with(|end: char| end.is_ascii_lowercase()))
                {
                    self.rest = rest;
                }
                rows.push(Vec::new());
            } else {
                break;
            }
        }
        let is_nothing = |row: &Vec<Node>| row.iter().all(|cell| *cell == Node::Row(Vec::new()));
        if rows.len() > 1 && rows.last().is_none_or(|row| row.is_empty() || is_nothing(row)) {
            rows.pop();
        }
        Some(rows)
    }

    /// Everything up to the end of a group, cell or row.
    fn row(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut nodes = Vec::new();
        loop {
            self.skip_spaces();
            let ends =
                matches!(self.peek(), None | Some('}' | '&')) || matches!(self.command(), Some("\\" | "end" | "right"));
            if ends {
                break;
            }
            if let Some(node) = self.item(&mut nodes)? {
                nodes.push(node);
            }
        }
        self.depth -= 1;
        Some(Node::Row(nodes))
    }

    /// The next part; nothing if it shows nothing or went into what stands before it.
    fn item(&mut self, before: &mut Vec<Node>) -> Option<Option<Node>> {
        match self.peek()? {
            '^' | '_' => {
                let is_above = self.next_character()? == '^';
                let script = self.argument()?;
                let base = before.pop().unwrap_or(Node::Row(Vec::new()));
                with_script(base, script, is_above).map(Some)
            }
            '\'' => {
                let mut primes = String::new();
                while self.peek() == Some('\'') {
                    self.next_character();
                    primes.push('′');
                }
                let base = before.pop().unwrap_or(Node::Row(Vec::new()));
                with_script(base, Node::Symbol(primes, Class::Ordinary), true).map(Some)
            }
            '{' => self.group().map(Some),
            '\\' => self.command_item(),
            '~' => {
                self.next_character();
                Some(Some(Node::Space(1)))
            }
            '#' | '$' => None,
            digit if digit.is_ascii_digit() => {
                let is_number = |character: char| character.is_ascii_digit() || character == '.';
                let length = self.rest.find(|character| !is_number(character)).unwrap_or(self.rest.len());
                let number = self.rest[..length].trim_end_matches('.');
                self.rest = &self.rest[number.len()..];
                Some(Some(Node::Symbol(number.to_owned(), Class::Ordinary)))
            }
            _ => {
                let (character, class) = symbols::character(self.next_character()?);
                Some(Some(Node::Symbol(character.to_string(), class)))
            }
        }
    }

    fn group(&mut self) -> Option<Node> {
        self.rest = self.rest.strip_prefix('{')?;
        let row = self.row()?;
        self.rest = self.rest.strip_prefix('}')?;
        Some(row)
    }

    /// What a command or script applies to: a group or the next symbol.
    fn argument(&mut self) -> Option<Node> {
        self.skip_spaces();
        match self.peek()? {
            '{' => self.group(),
            '\\' => self.command_item()?,
            '^' | '_' | '}' | '&' | '\'' => None,
            _ => {
                let (character, class) = symbols::character(self.next_character()?);
                Some(Node::Symbol(character.to_string(), class))
            }
        }
    }

    /// A group as it is written.
    fn raw_argument(&mut self) -> Option<&'a str> {
        self.skip_spaces();
        let inside = self.rest.strip_prefix('{')?;
        let mut open = 1usize;
        for (at, character) in inside.char_indices() {
            match character {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            if open == 0 {
                self.rest = &inside[at + 1..];
                return Some(&inside[..at]);
            }
        }
        None
    }

    fn command_item(&mut self) -> Option<Option<Node>> {
        let name = self.take_command()?;
        let node = match name {
            "frac" | "dfrac" | "tfrac" | "cfrac" => self.fraction(true)?,
            "binom" | "dbinom" | "tbinom" => {
                let inside = Box::new(self.fraction(false)?);
                Node::Fenced { left: "(".into(), inside, right: ")".into() }
            }
            "sqrt" => self.root()?,
            "text" | "textbf" | "textit" | "textrm" | "texttt" | "textsf" | "mbox" | "mathrm" | "operatorname"
            | "emph" => {
                return self.words(name).map(Some);
            }
            "mathbf" | "mathit" | "mathsf" | "mathtt" | "mathnormal" | "boldsymbol" | "bm" | "pmb" | "mathstrut" => {
                self.argument()?
            }
            "mathbb" | "mathcal" | "mathscr" | "mathfrak" => in_alphabet(name, self.argument()?),
            "left" => self.fenced()?,
            "begin" => self.environment()?,
            "boxed" | "fbox" => Node::Boxed(Box::new(self.argument()?)),
            "overset" | "stackrel" => self.above_or_below(true)?,
            "underset" => self.above_or_below(false)?,
            "underbrace" | "overbrace" => Node::Symbol(linear_or_none(self.argument()?)?, Class::Limit),
            "xrightarrow" => self.arrow("→")?,
            "xleftarrow" => self.arrow("←")?,
            "substack" => self.substack()?,
            "pmod" => {
                let number = self.argument()?;
                let inside = Node::Row(vec![Node::Text("mod ".into()), number]);
                let fenced = Node::Fenced { left: "(".into(), inside: Box::new(inside), right: ")".into() };
                Node::Row(vec![Node::Space(1), fenced])
            }
            "tag" => Node::Text(format!("  ({})", self.raw_argument()?)),
            "textcolor" => {
                self.raw_argument()?;
                self.argument()?
            }
            "color" | "label" | "hspace" | "vspace" | "phantom" | "hphantom" => {
                self.raw_argument()?;
                return Some(None);
            }
            "," | ":" | ";" | " " | "enspace" | "thinspace" => Node::Space(1),
            "quad" => Node::Space(2),
            "qquad" => Node::Space(4),
            "!" | "displaystyle" | "textstyle" | "scriptstyle" | "limits" | "nolimits" | "hline" | "nonumber"
            | "notag" | "middle" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr" | "biggl"
            | "biggr" | "Biggl" | "Biggr" | "rm" | "bf" => {
                return Some(None);
            }
            _ => match symbols::accent(name) {
                Some(mark) => Node::Accent { mark, base: Box::new(self.argument()?) },
                None => {
                    let (symbol, class) = symbols::symbol(name)?;
                    Node::Symbol(symbol.to_owned(), class)
                }
            },
        };
        Some(Some(node))
    }

    fn fraction(&mut self, has_bar: bool) -> Option<Node> {
        let above = Box::new(self.argument()?);
        let below = Box::new(self.argument()?);
        Some(Node::Fraction { above, below, has_bar })
    }

    fn root(&mut self) -> Option<Node> {
        self.skip_spaces();
        let index = match self.rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((index, rest)) => {
                self.rest = rest;
                Some(Box::new(Parser { rest: index, depth: self.depth }.row()?))
            }
            None => None,
        };
        Some(Node::Root { index, inside: Box::new(self.argument()?) })
    }

    /// Words inside of a formula. Formulas inside of them are none of ours.
    fn words(&mut self, command: &str) -> Option<Node> {
        if command == "operatorname" {
            self.rest = self.rest.strip_prefix('*').unwrap_or(self.rest);
        }
        let words = self.raw_argument()?;
        if words.contains(['$', '{', '}', '^']) || words.replace("\\ ", "").replace("\\_", "").contains('\\') {
            return None;
        }
        let words = words.replace("\\ ", " ").replace("\\_", "_").replace('~', " ");
        Some(match command {
            "operatorname" => Node::Symbol(words, Class::Function),
            "mathrm" => Node::Symbol(words.replace(' ', ""), Class::Ordinary),
            _ => Node::Text(words),
        })
    }

    /// A delimiter behind `\left` or `\right`; a dot is none.
    fn delimiter(&mut self) -> Option<String> {
        self.skip_spaces();
        if self.peek()? == '\\' {
            let (symbol, _) = symbols::symbol(self.take_command()?)?;
            return Some(symbol.to_owned());
        }
        Some(match self.next_character()? {
            '.' => String::new(),
            '<' => "⟨".into(),
            '>' => "⟩".into(),
            other => other.to_string(),
        })
    }

    fn fenced(&mut self) -> Option<Node> {
        let left = self.delimiter()?;
        let inside = Box::new(grid_or_row(self.rows()?, "", "", false));
        if self.take_command()? != "right" {
            return None;
        }
        Some(Node::Fenced { left, inside, right: self.delimiter()? })
    }

    fn environment(&mut self) -> Option<Node> {
        let name = self.raw_argument()?;
        let kind = name.trim_end_matches('*');
        if matches!(kind, "array" | "alignat" | "alignedat") {
            self.raw_argument()?;
        }
        self.depth += 1;
        let rows = self.rows()?;
        self.depth -= 1;
        if self.take_command()? != "end" || self.raw_argument()? != name {
            return None;
        }
        Some(match kind {
            "matrix" | "smallmatrix" | "array" => Node::Grid(Grid { rows, left: "", right: "", is_aligned: false }),
            "pmatrix" => Node::Grid(Grid { rows, left: "(", right: ")", is_aligned: false }),
            "bmatrix" => Node::Grid(Grid { rows, left: "[", right: "]", is_aligned: false }),
            "Bmatrix" => Node::Grid(Grid { rows, left: "{", right: "}", is_aligned: false }),
            "vmatrix" => Node::Grid(Grid { rows, left: "|", right: "|", is_aligned: false }),
            "Vmatrix" => Node::Grid(Grid { rows, left: "‖", right: "‖", is_aligned: false }),
            "cases" => Node::Grid(Grid { rows, left: "{", right: "", is_aligned: false }),
            "aligned" | "align" | "alignat" | "alignedat" | "split" | "gather" | "gathered" | "equation"
            | "eqnarray" | "multline" => grid_or_row(rows, "", "", true),
            _ => return None,
        })
    }

    fn above_or_below(&mut self, is_above: bool) -> Option<Node> {
        let script = self.argument()?;
        let base = self.argument()?;
        with_script(base, script, is_above)
    }

    fn arrow(&mut self, arrow: &str) -> Option<Node> {
        let above = self.argument()?;
        with_script(Node::Symbol(arrow.to_owned(), Class::Relation), above, true)
    }

    fn substack(&mut self) -> Option<Node> {
        let rows = Parser { rest: self.raw_argument()?, depth: self.depth + 1 }.rows()?;
        let comma = || Node::Symbol(",".into(), Class::Punctuation);
        let mut nodes = Vec::new();
        for row in rows {
            if !nodes.is_empty() {
                nodes.push(comma());
            }
            nodes.extend(row);
        }
        Some(Node::Row(nodes))
    }
}

/// What a brace is drawn over or under is one symbol, as far as it fits on a line.
fn linear_or_none(node: Node) -> Option<String> {
    Some(super::linear::linear(&node))
}
