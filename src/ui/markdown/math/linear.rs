//! Formulas on one line: `x² + (a + b)/2`.

use super::symbols::{self, Class};
use super::tree::{Grid, Node};

/// The spaces between two parts that stand beside one another. `before` is `None` at the beginning.
pub fn gap(before: Option<Class>, after: Class, is_unary: bool) -> usize {
    use Class::{Binary, Close, Function, Integral, Large, Limit, Open, Ordinary, Punctuation, Relation};
    let Some(before) = before else { return 0 };
    let is_operator = |class: Class| matches!(class, Function | Limit | Large | Integral);
    match (before, after) {
        (Open, _) | (_, Close | Punctuation) => 0,
        (Punctuation | Relation, _) | (_, Relation) => 1,
        (_, Binary) => usize::from(!is_unary || !matches!(before, Ordinary)),
        (Binary, _) => 1,
        (Function | Limit, Open) => 0,
        (Large | Integral, _) => 1,
        (Function | Limit, _) => 1,
        (Ordinary | Close, operator) if is_operator(operator) => 1,
        _ => 0,
    }
}

/// How a part stands among others.
pub fn class(node: &Node) -> Class {
    match node {
        Node::Symbol(_, class) => *class,
        Node::Scripts { base, .. } => class(base),
        Node::Row(nodes) if nodes.len() == 1 => class(&nodes[0]),
        _ => Class::Ordinary,
    }
}

/// Whether an operator with two sides has only one here, as in `(−x)`. Nothing goes between it and what follows.
pub fn is_unary(before: Option<Class>) -> bool {
    !matches!(before, Some(Class::Ordinary | Class::Close))
}

/// The parts of a row with the spaces before each, nested rows taken apart.
pub fn spaced(nodes: &[Node]) -> Vec<(usize, &Node)> {
    let mut spaced = Vec::new();
    let mut before: Option<Class> = None;
    let mut glued = false;
    for node in nodes {
        if matches!(node, Node::Space(_)) {
            spaced.push((0, node));
            before = None;
            glued = false;
            continue;
        }
        let class = class(node);
        let unary = class == Class::Binary && is_unary(before);
        let space = if glued { 0 } else { gap(before, class, unary) };
        glued = unary;
        before = Some(if unary { Class::Ordinary } else { class });
        // Words bring their own spaces.
        glued |= matches!(node, Node::Text(text) if text.ends_with(' '));
        spaced.push((space, node));
    }
    spaced
}

/// The formula on one line.
pub fn linear(node: &Node) -> String {
    match node {
        Node::Symbol(text, _) | Node::Text(text) => text.clone(),
        Node::Space(columns) => " ".repeat(*columns),
        Node::Row(nodes) => spaced(nodes).into_iter().map(|(space, node)| " ".repeat(space) + &linear(node)).collect(),
        Node::Scripts { base, below, above } => scripts(base, below.as_deref(), above.as_deref()),
        Node::Fraction { above, below, has_bar } => fraction(above, below, *has_bar),
        Node::Root { index, inside } => root(index.as_deref(), inside),
        Node::Accent { mark, base } => accented(*mark, &linear(base)),
        Node::Fenced { left, inside, right } => format!("{left}{}{right}", linear(inside)),
        Node::Grid(grid) => in_grid(grid),
        Node::Boxed(inside) => format!("[ {} ]", linear(inside)),
    }
}

/// A script's text: no spaces round its operators.
fn script(node: &Node) -> String {
    match node {
        Node::Row(nodes) if !nodes.iter().any(|node| matches!(node, Node::Text(_))) => {
            nodes.iter().map(script).collect()
        }
        other => linear(other),
    }
}

fn scripts(base: &Node, below: Option<&Node>, above: Option<&Node>) -> String {
    let text = linear(base);
    let is_compound = matches!(base, Node::Fraction { .. }) || matches!(base, Node::Row(nodes) if nodes.len() > 1);
    let mut text = if is_compound { format!("({text})") } else { text };
    let part = |node: &Node, sign: char, small: fn(&str) -> Option<String>| {
        let script = script(node);
        small(&script).unwrap_or_else(|| {
            if script.chars().count() == 1 { format!("{sign}{script}") } else { format!("{sign}({script})") }
        })
    };
    if let Some(below) = below {
        text.push_str(&part(below, '_', symbols::subscript));
    }
    if let Some(above) = above {
        text.push_str(&part(above, '^', symbols::superscript));
    }
    text
}

/// Whether a part can stand beside a fraction's stroke or behind a root sign without parentheses.
fn is_simple(node: &Node) -> bool {
    match node {
        Node::Symbol(..) | Node::Text(_) | Node::Accent { .. } | Node::Root { .. } => true,
        Node::Scripts { base, .. } => is_simple(base),
        Node::Fenced { left, right, .. } => !left.is_empty() && !right.is_empty(),
        Node::Row(nodes) => nodes.len() == 1 && is_simple(&nodes[0]),
        _ => false,
    }
}

/// Whether all of it is one product, such as `2ab`.
fn is_product(node: &Node) -> bool {
    let is_factor = |node: &Node| is_simple(node) && class(node) == Class::Ordinary;
    matches!(node, Node::Row(nodes) if nodes.iter().all(is_factor)) || is_simple(node)
}

/// Whether it is `dx` or the like, which nobody takes for a product.
fn is_differential(node: &Node) -> bool {
    let is_difference = |text: &str| matches!(text, "d" | "∂" | "Δ" | "δ");
    matches!(node, Node::Row(nodes) if matches!(&nodes[..], [Node::Symbol(first, _), second] if is_difference(first) && is_simple(second)))
}

fn parenthesised(node: &Node, bare: bool) -> String {
    let text = linear(node);
    if bare { text } else { format!("({text})") }
}

fn fraction(above: &Node, below: &Node, has_bar: bool) -> String {
    if !has_bar {
        return format!("{} over {}", linear(above), linear(below));
    }
    if let Some(fraction) = symbols::fraction(&linear(above), &linear(below)) {
        return fraction.to_owned();
    }
    format!(
        "{}/{}",
        parenthesised(above, is_product(above)),
        parenthesised(below, is_simple(below) || is_differential(below))
    )
}

fn root(index: Option<&Node>, inside: &Node) -> String {
    let index = index.map(linear).unwrap_or_default();
    let sign = match index.as_str() {
        "" => "√".to_owned(),
        "3" => "∛".to_owned(),
        "4" => "∜".to_owned(),
        index => symbols::superscript(index).unwrap_or_else(|| format!("[{index}]")) + "√",
    };
    let bare = matches!(inside, Node::Symbol(..))
        || matches!(inside, Node::Row(nodes) if matches!(nodes[..], [Node::Symbol(..)]));
    sign + &parenthesised(inside, bare)
}

/// A line over or under several letters goes over each, another mark on the last one.
fn accented(mark: char, text: &str) -> String {
    let is_line = matches!(mark, '\u{305}' | '\u{332}');
    let count = text.chars().count();
    let is_marked = |index: usize| is_line || index + 1 == count;
    text.chars()
        .enumerate()
        .flat_map(|(index, character)| [Some(character), is_marked(index).then_some(mark)])
        .flatten()
        .collect()
}

fn in_grid(grid: &Grid) -> String {
    let between = if grid.is_aligned { " " } else { "  " };
    let row = |cells: &Vec<Node>| cells.iter().map(linear).collect::<Vec<_>>().join(between).trim().to_owned();
    let rows: Vec<String> = grid.rows.iter().map(row).collect();
    format!("{}{}{}", grid.left, rows.join("; "), grid.right)
}
