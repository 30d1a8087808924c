//! Charts as SVG: a document with a title that is read aloud, panels with axes, and lines, points, bars and bounds in
//! them. Readable on light and dark backgrounds. What is drawn where is decided by whoever draws.

use std::fmt::Write;

/// How charts look; a page that has them in it has it once.
pub const STYLE: &str = include_str!("../../assets/bench/chart.css");
/// The classes of colours, in the order in which they are told apart best.
pub const COLOURS: [&str; 6] = ["b", "c", "e", "d", "f", "a"];

/// Between the end of the axis and its greatest value, so that a point there is whole.
const MARGIN: f64 = 8.0;
/// Marks of an axis, about.
const MARKS: f64 = 5.0;

/// A chart that is being drawn.
#[derive(Clone, Debug)]
pub struct Drawing {
    width: f64,
    height: f64,
    /// What is read aloud instead.
    title: String,
    description: String,
    /// Tells it from others on its page.
    id: String,
    body: String,
}

impl Drawing {
    pub fn new(id: &str, (width, height): (f64, f64), title: &str, description: &str) -> Self {
        let [id, title, description] = [id, title, description].map(str::to_owned);
        Self { width, height, title, description, id, body: String::new() }
    }

    /// A text at a place, in its class, before, around or behind it.
    pub fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        self.add(format_args!("<text{class} x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{}</text>", escape(text)));
    }

    /// A point that says what it is when it is pointed at.
    pub fn circle(&mut self, (x, y): (f64, f64), class: &str, radius: f64, says: &str) {
        let title = if says.is_empty() { String::new() } else { format!("<title>{}</title>", escape(says)) };
        self.add(format_args!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\">{title}</circle>"));
    }

    fn stroke(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.add(format_args!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
    }

    fn add(&mut self, element: std::fmt::Arguments) {
        // Writing to a `String` cannot fail.
        let _ = self.body.write_fmt(element);
    }

    /// The chart as a part of a page that has [`STYLE`].
    pub fn inline(&self) -> String {
        self.element("")
    }

    /// The chart as a file of its own.
    pub fn document(&self) -> String {
        self.element(&format!("<style>{STYLE}</style>")) + "\n"
    }

    fn element(&self, style: &str) -> String {
        let Self { width, height, id, body, .. } = self;
        format!(
            "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>{style}\
             <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>{body}</svg>",
            escape(&self.title),
            escape(&self.description)
        )
    }
}

/// Which end of a text is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// The values along one side of a panel, and those that are marked.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    marks: Vec<(f64, String)>,
}

impl Axis {
    pub fn with_marks(low: f64, high: f64, marks: impl IntoIterator<Item = (f64, String)>) -> Self {
        Self { low, high, marks: marks.into_iter().collect() }
    }

    /// From 0 to the first mark beyond `most`.
    pub fn from_zero(most: f64) -> Self {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let step = step(most);
        Self::stepped(0.0, (most / step).ceil() * step, step)
    }

    /// From the last mark below `low` to the first above `high`.
    pub fn around(low: f64, high: f64) -> Self {
        let spread = (high - low).max(high.abs() * 0.05).max(1e-9);
        let step = step(spread);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        Self::stepped(low, if high > low { high } else { low + step }, step)
    }

    /// The same places, and none of them is marked.
    pub fn without_marks(self) -> Self {
        Self { marks: Vec::new(), ..self }
    }

    fn stepped(low: f64, high: f64, step: f64) -> Self {
        let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        let count = ((high - low) / step).round() as usize;
        let mark = |place: usize| {
            let value = low + step * place as f64;
            (value, format!("{value:.digits$}"))
        };
        Self::with_marks(low, high, (0..=count).map(mark))
    }

    /// Where a value lies, as a part of the way from the lowest to the highest; what is beyond is drawn at the end.
    fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
    }
}

/// A distance between marks that people count in: 1, 2 or 5 and noughts.
fn step(range: f64) -> f64 {
    let rough = range / MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

/// A place of a drawing with two axes.
#[derive(Clone, Debug)]
pub struct Panel {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub across: Axis,
    pub up: Axis,
}

impl Panel {
    /// The place of two values.
    pub fn at(&self, (across, up): (f64, f64)) -> (f64, f64) {
        (
            self.left + (self.width - MARGIN) * self.across.share(across),
            self.top + self.height * (1.0 - self.up.share(up)),
        )
    }

    /// Lines at the marks of the axis that has values to be read off, and all marks.
    pub fn axes(&self, drawing: &mut Drawing) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for (value, mark) in &self.up.marks {
            let (_, y) = self.at((self.across.low, *value));
            drawing.stroke("grid", (self.left, y), (right, y));
            drawing.text((self.left - 6.0, y + 4.0), "small", Anchor::End, mark);
        }
        for (value, mark) in &self.across.marks {
            let (x, _) = self.at((*value, self.up.low));
            if self.up.marks.is_empty() {
                drawing.stroke("grid", (x, self.top), (x, bottom));
            }
            drawing.text((x, bottom + 16.0), "small", Anchor::Middle, mark);
        }
        drawing.stroke("axis", (self.left, bottom), (right, bottom));
    }

    /// A line through points; nothing if there is but one.
    pub fn line(&self, drawing: &mut Drawing, class: &str, points: &[(f64, f64)]) {
        if points.len() > 1 {
            let place = |point: &(f64, f64)| {
                let (x, y) = self.at(*point);
                format!("{x:.1},{y:.1}")
            };
            let places: Vec<String> = points.iter().map(place).collect();
            drawing.add(format_args!("<polyline class=\"{class} line\" points=\"{}\"/>", places.join(" ")));
        }
    }

    /// A point that says what it is when it is pointed at.
    pub fn point(&self, drawing: &mut Drawing, class: &str, point: (f64, f64), says: &str) {
        drawing.circle(self.at(point), class, 3.5, says);
    }

    /// Bounds above and below a value.
    pub fn bounds_up(&self, drawing: &mut Drawing, class: &str, across: f64, (low, high): (f64, f64)) {
        let ((x, from), (_, to)) = (self.at((across, low)), self.at((across, high)));
        drawing.stroke(class, (x, from), (x, to));
        for y in [from, to] {
            drawing.stroke(class, (x - 3.0, y), (x + 3.0, y));
        }
    }

    /// Bounds to the left and right of the end of a bar whose middle is at this height of the drawing.
    pub fn bounds_across(&self, drawing: &mut Drawing, class: &str, y: f64, (low, high): (f64, f64)) {
        let ((from, _), (to, _)) = (self.at((low, self.up.low)), self.at((high, self.up.low)));
        drawing.stroke(class, (from, y), (to, y));
        for x in [from, to] {
            drawing.stroke(class, (x, y - 4.0), (x, y + 4.0));
        }
    }

    /// A bar from the left to a value.
    pub fn bar(&self, drawing: &mut Drawing, class: &str, (y, height): (f64, f64), value: f64, says: &str) {
        let (left, (right, _)) = (self.left, self.at((value, self.up.low)));
        drawing.add(format_args!(
            "<rect class=\"{class} bar\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
             <title>{}</title></rect>",
            right - left,
            escape(says)
        ));
    }
}

/// A text inside of SVG or HTML, also inside of a quoted attribute. Controls, and what would turn the direction of the
/// text around, are shown by their numbers.
pub fn escape(text: &str) -> String {
    let text = crate::text::escape_line(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(axis: &Axis) -> Vec<&str> {
        axis.marks.iter().map(|(_, mark)| mark.as_str()).collect()
    }

    #[test]
    fn marks_are_numbers_that_people_count_in() {
        assert_eq!(marks(&Axis::from_zero(83.0)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(marks(&Axis::from_zero(0.9)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(marks(&Axis::around(47.5, 61.0)), ["45", "50", "55", "60", "65"]);
        assert_eq!(marks(&Axis::around(48.0, 48.0)), ["48.0", "48.5"]);
        assert_eq!(marks(&Axis::from_zero(f64::NAN)).last(), Some(&"1.0"));
    }

    #[test]
    fn values_lie_between_the_axes_ends_and_beyond_at_them() {
        let (across, up) = (Axis::from_zero(10.0), Axis::from_zero(10.0));
        let panel = Panel { left: 10.0, top: 20.0, width: 108.0, height: 50.0, across, up };
        assert_eq!(panel.at((0.0, 0.0)), (10.0, 70.0));
        assert_eq!(panel.at((5.0, 5.0)), (60.0, 45.0));
        assert_eq!(panel.at((99.0, -1.0)), (110.0, 70.0));
    }

    #[test]
    fn a_drawing_is_named_for_those_who_do_not_see_it_and_escapes_what_it_is_given() {
        let mut drawing = Drawing::new("speed", (100.0, 50.0), "Speed of <a> & \"b\"", "pp512: 10");
        drawing.circle((1.0, 2.0), "a", 3.0, "x\u{1b}[2J</title>");
        let (inline, document) = (drawing.inline(), drawing.document());
        assert!(inline.contains("aria-labelledby=\"speed-t speed-d\""));
        assert!(inline.contains("<title id=\"speed-t\">Speed of &lt;a&gt; &amp; &quot;b&quot;</title>"));
        assert!(inline.contains("<title>x&lt;U+001B&gt;[2J&lt;/title&gt;</title>") && !inline.contains('\u{1b}'));
        assert!(!inline.contains("<style>") && document.contains("<style>") && document.ends_with("</svg>\n"));
    }
}
