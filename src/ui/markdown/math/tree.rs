//! What a formula is made of.

use super::symbols::{self, Class};

/// A part of a formula.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Symbol(String, Class),
    /// Words, with their spaces.
    Text(String),
    Space(usize),
    Row(Vec<Node>),
    Scripts {
        base: Box<Node>,
        below: Option<Box<Node>>,
        above: Option<Box<Node>>,
    },
    Fraction {
        above: Box<Node>,
        below: Box<Node>,
        has_bar: bool,
    },
    Root {
        index: Option<Box<Node>>,
        inside: Box<Node>,
    },
    Accent {
        mark: char,
        base: Box<Node>,
    },
    Fenced {
        left: String,
        inside: Box<Node>,
        right: String,
    },
    Grid(Grid),
    Boxed(Box<Node>),
}

/// Cells in rows: a matrix, cases, or equations below one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    pub rows: Vec<Vec<Node>>,
    pub left: &'static str,
    pub right: &'static str,
    /// Equations: odd columns end where the even ones begin.
    pub is_aligned: bool,
}

/// Rows of cells; one cell is no grid.
pub fn grid_or_row(mut rows: Vec<Vec<Node>>, left: &'static str, right: &'static str, is_aligned: bool) -> Node {
    let is_plain = left.is_empty() && rows.len() == 1;
    if is_plain && rows[0].len() == 1 {
        return rows.remove(0).remove(0);
    }
    Node::Grid(Grid { rows, left, right, is_aligned })
}

/// `base` with one more script; `None` if it has one there.
pub fn with_script(base: Node, script: Node, is_above: bool) -> Option<Node> {
    let (base, mut below, mut above) = match base {
        Node::Scripts { base, below, above } => (base, below, above),
        other => (Box::new(other), None, None),
    };
    let place = if is_above { &mut above } else { &mut below };
    match place.take() {
        None => *place = Some(Box::new(script)),
        // `f'^2`
        Some(first) if is_above && matches!(*first, Node::Symbol(ref primes, _) if primes.starts_with('′')) => {
            *place = Some(Box::new(Node::Row(vec![*first, script])));
        }
        Some(_) => return None,
    }
    Some(Node::Scripts { base, below, above })
}

/// Its letters in one of the alphabets of mathematics.
pub fn in_alphabet(alphabet: &str, node: Node) -> Node {
    match node {
        Node::Symbol(text, class) => {
            Node::Symbol(text.chars().map(|letter| symbols::in_alphabet(alphabet, letter)).collect(), class)
        }
        Node::Row(nodes) => Node::Row(nodes.into_iter().map(|node| in_alphabet(alphabet, node)).collect()),
        other => other,
    }
}
