//! Formulas over several lines: fractions with a bar, limits above and below, matrices.

use super::linear::{class, linear, spaced};

use super::symbols::Class;
use super::tree::{Grid, Node};
use crate::ui::markdown::wrap::width;

/// Lines of the same width, one of which is the line that stands beside other parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub lines: Vec<String>,
    pub base: usize,
}

impl Block {
    fn of(text: String) -> Self {
        Self { lines: vec![text], base: 0 }
    }

    pub fn width(&self) -> usize {
        self.lines.iter().map(|line| width(line)).max().unwrap_or(0)
    }

    fn below_base(&self) -> usize {
        self.lines.len() - 1 - self.base
    }

    /// With so many lines above and below its base.
    fn stretched(mut self, above: usize, below: usize) -> Self {
        let empty = " ".repeat(self.width());
        for _ in self.base..above {
            self.lines.insert(0, empty.clone());
            self.base += 1;
        }
        for _ in self.below_base()..below {
            self.lines.push(empty.clone());
        }
        self
    }

    fn beside(self, other: Self) -> Self {
        let (above, below) = (self.base.max(other.base), self.below_base().max(other.below_base()));
        let (left, right) = (self.stretched(above, below), other.stretched(above, below));
        let lines = left.lines.iter().zip(&right.lines).map(|(left, right)| format!("{left}{right}")).collect();
        Self { lines, base: above }
    }

    fn centred(self, columns: usize) -> Vec<String> {
        let centre = |line: String| {
            let free = columns.saturating_sub(width(&line));
            format!("{}{line}{}", " ".repeat(free / 2), " ".repeat(free - free / 2))
        };
        self.lines.into_iter().map(centre).collect()
    }
}

/// The formula as it stands on lines of its own.
pub fn block(node: &Node) -> Block {
    match node {
        Node::Row(nodes) => row(nodes),
        Node::Fraction { above, below, has_bar } => fraction(above, below, *has_bar),
        Node::Scripts { base, below, above } => scripts(node, base, below.as_deref(), above.as_deref()),
        Node::Fenced { left, inside, right } => fenced(left, block(inside), right),
        Node::Grid(grid) => fenced(grid.left, cells(grid), grid.right),
        Node::Boxed(inside) => boxed(block(inside)),
        other => Block::of(linear(other)),
    }
}

fn row(nodes: &[Node]) -> Block {
    let parts = spaced(nodes).into_iter().map(|(space, node)| Block::of(" ".repeat(space)).beside(block(node)));
    parts.reduce(Block::beside).unwrap_or(Block::of(String::new()))
}

/// Parts above and below the bar are as on one line, so that a formula stays low.
fn fraction(above: &Node, below: &Node, has_bar: bool) -> Block {
    let (above, below) = (Block::of(linear(above)), Block::of(linear(below)));
    let columns = above.width().max(below.width()) + if has_bar { 2 } else { 0 };
    let bar = if has_bar { "─" } else { " " }.repeat(columns);
    let mut lines = above.centred(columns);
    lines.push(bar);
    lines.extend(below.centred(columns));
    Block { lines, base: 1 }
}

fn scripts(whole: &Node, base: &Node, below: Option<&Node>, above: Option<&Node>) -> Block {
    let middle = block(base);
    if matches!(class(base), Class::Large | Class::Limit) {
        let (above, below) = (above.map(|node| Block::of(linear(node))), below.map(|node| Block::of(linear(node))));
        let columns =
            [Some(&middle), above.as_ref(), below.as_ref()].into_iter().flatten().map(Block::width).max().unwrap_or(0);
        let base = middle.base + above.as_ref().map_or(0, |above| above.lines.len());
        let lines = [above, Some(middle), below].into_iter().flatten().flat_map(|part| part.centred(columns)).collect();
        return Block { lines, base };
    }
    if middle.lines.len() == 1 {
        return Block::of(linear(whole));
    }
    let mut corner = vec![String::new(); middle.lines.len()];
    if let (Some(above), Some(first)) = (above, corner.first_mut()) {
        *first = small(above, super::symbols::superscript);
    }
    if let (Some(below), Some(last)) = (below, corner.last_mut()) {
        *last = small(below, super::symbols::subscript);
    }
    let columns = corner.iter().map(|line| width(line)).max().unwrap_or(0);
    let lines = corner.into_iter().map(|line| format!("{line}{}", " ".repeat(columns - width(&line)))).collect();
    let base = middle.base;
    middle.beside(Block { lines, base })
}

fn small(node: &Node, form: fn(&str) -> Option<String>) -> String {
    let text = linear(node);
    form(&text).unwrap_or(text)
}

/// Delimiters as high as what they hold.
fn fenced(left: &str, inside: Block, right: &str) -> Block {
    let (height, base) = (inside.lines.len(), inside.base);
    let tall =
        |delimiter: &str| Block { lines: (0..height).map(|line| piece(delimiter, line, height)).collect(), base };
    tall(left).beside(inside).beside(tall(right))
}

/// One line of a delimiter of this height.
fn piece(delimiter: &str, line: usize, height: usize) -> String {
    if height == 1 {
        return delimiter.to_owned();
    }
    let [top, middle, bottom] = match delimiter {
        "(" => ["⎛", "⎜", "⎝"],
        ")" => ["⎞", "⎟", "⎠"],
        "[" => ["⎡", "⎢", "⎣"],
        "]" => ["⎤", "⎥", "⎦"],
        "{" if height > 2 && line == height / 2 => ["⎨"; 3],
        "}" if height > 2 && line == height / 2 => ["⎬"; 3],
        "{" => ["⎧", "⎪", "⎩"],
        "}" => ["⎫", "⎪", "⎭"],
        "⌊" => ["⎢", "⎢", "⎣"],
        "⌋" => ["⎥", "⎥", "⎦"],
        "⌈" => ["⎡", "⎢", "⎢"],
        "⌉" => ["⎤", "⎥", "⎥"],
        "|" => ["│"; 3],
        "‖" => ["‖"; 3],
        "" => [""; 3],
        other if line == height / 2 => [other; 3],
        _ => [" "; 3],
    };
    let piece = if line == 0 {
        top
    } else if line + 1 == height {
        bottom
    } else {
        middle
    };
    piece.to_owned()
}

/// The cells of a grid in columns.
fn cells(grid: &Grid) -> Block {
    let rows: Vec<Vec<Block>> = grid.rows.iter().map(|row| row.iter().map(block).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let column_width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(Block::width).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(column_width).collect();
    let is_single = columns == 1;
    let mut lines = Vec::new();
    for row in rows {
        let mut whole = Block::of(if grid.left.is_empty() { String::new() } else { " ".to_owned() });
        for (column, &width) in widths.iter().enumerate() {
            let cell = row.get(column).cloned().unwrap_or(Block::of(String::new()));
            let free = width.saturating_sub(cell.width());
            let (before, after) = match (grid.is_aligned, is_single, grid.left) {
                (true, true, _) | (_, _, "{") => (0, free),
                (true, false, _) if column % 2 == 0 => (free, 0),
                (true, false, _) => (0, free),
                (false, ..) => (free / 2, free - free / 2),
            };
            let between = match (column, grid.is_aligned) {
                (0, _) => 0,
                (_, true) => 1,
                (_, false) => 2,
            };
            whole =
                whole.beside(Block::of(" ".repeat(between + before))).beside(cell).beside(Block::of(" ".repeat(after)));
        }
        if !grid.right.is_empty() {
            whole = whole.beside(Block::of(" ".to_owned()));
        }
        lines.extend(whole.lines);
    }
    let base = lines.len().saturating_sub(1) / 2;
    if lines.is_empty() { Block::of(String::new()) } else { Block { lines, base } }
}

fn boxed(inside: Block) -> Block {
    let columns = inside.width();
    let line = "─".repeat(columns + 2);
    let mut lines = vec![format!("┌{line}┐")];
    let padded = |line: &String| format!("│ {line}{} │", " ".repeat(columns - width(line)));
    lines.extend(inside.lines.iter().map(padded));
    lines.push(format!("└{line}┘"));
    Block { lines, base: inside.base + 1 }
}
