use proptest::prelude::*;

use super::*;

fn written(tex: &str) -> Written {
    Written { source: format!("${tex}$"), tex: tex.to_owned() }
}

fn on_a_line(tex: &str) -> String {
    inline(&written(tex), &Theme::plain()).unwrap_or_else(|| format!("as written: {tex}"))
}

fn on_lines(tex: &str) -> String {
    let text = |row: &Row| row.iter().map(|span| span.content.as_ref()).collect::<String>();
    display_rows(&written(tex), 60, &Theme::plain()).iter().map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn formulas_as_models_write_them_on_one_line() {
    let formulas = [
        (r"E = mc^2", "E = mc²"),
        (r"a^2 + b^2 = c^2", "a² + b² = c²"),
        (r"x_{1}, x_{2}, \ldots, x_{n}", "x₁, x₂, …, xₙ"),
        (r"\alpha + \beta \leq \gamma", "α + β ≤ γ"),
        (r"f(x) = -x + 1", "f(x) = −x + 1"),
        (r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x = (−b ± √(b² − 4ac))/(2a)"),
        (r"\frac{1}{2}", "½"),
        (r"\frac{dy}{dx}", "dy/dx"),
        (r"\frac{\partial f}{\partial x}", "∂f/∂x"),
        (r"\sqrt{2}", "√2"),
        (r"\sqrt[3]{x+1}", "∛(x + 1)"),
        (r"\sqrt[n]{x}", "ⁿ√x"),
        (r"\sum_{i=1}^{n} x_i", "∑ᵢ₌₁ⁿ xᵢ"),
        (r"\int_0^\infty e^{-x^2} \, dx", "∫₀^∞ e^(−x²) dx"),
        (r"\lim_{x \to 0} \frac{\sin x}{x} = 1", "lim_(x→0) (sin x)/x = 1"),
        (r"\mathbb{R}^n \to \mathbb{R}", "ℝⁿ → ℝ"),
        (r"\mathcal{L}(\theta)", "ℒ(θ)"),
        (r"O(n \log n)", "O(n log n)"),
        (r"P(A \mid B) = \frac{P(B \mid A)\,P(A)}{P(B)}", "P(A ∣ B) = (P(B ∣ A) P(A))/(P(B))"),
        (r"\text{accuracy} = \frac{\text{correct}}{\text{total}}", "accuracy = correct/total"),
        (r"x \in A \cup B \setminus C", "x ∈ A ∪ B ∖ C"),
        (r"\forall \epsilon > 0 \; \exists \delta > 0", "∀ε > 0 ∃δ > 0"),
        (r"f'(x) = 2x, \quad f''(x) = 2", "f′(x) = 2x,  f′′(x) = 2"),
        (r"\hat{y} = \vec{w} \cdot \vec{x} + \bar{b}", "y\u{302} = w\u{20d7} · x\u{20d7} + b\u{304}"),
        (r"\left( \frac{a}{b} \right)^2", "(a/b)²"),
        (r"90^\circ", "90°"),
        (r"A^{T} A^{-1}", "AᵀA⁻¹"),
        (r"\binom{n}{k}", "(n over k)"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a  b; c  d)"),
        (r"\boxed{42}", "[ 42 ]"),
        (r"\log_2 8 = 3", "log₂ 8 = 3"),
        (r"\|x\|_2 \leq \max_i |x_i|", "‖x‖₂ ≤ maxᵢ |xᵢ|"),
        (r"a \equiv b \pmod{n}", "a ≡ b (mod n)"),
        (r"\{ x \mid x > 0 \}", "{x ∣ x > 0}"),
        (r"e^{i\pi} + 1 = 0", "e^(iπ) + 1 = 0"),
        (r"3 \times 4 = 12", "3 × 4 = 12"),
        (r"100\%", "100%"),
        (r"\operatorname{softmax}(x)_i", "softmax(x)ᵢ"),
        (r"\text{H}_2\text{O}", "H₂O"),
        (r"v = \frac{\Delta x}{\Delta t} \approx 3.5\ \text{m/s}", "v = Δx/Δt ≈ 3.5 m/s"),
        (r"n!", "n!"),
        (r"x^{2n+1}", "x²ⁿ⁺¹"),
        (r"x_{i,j}", "x_(i,j)"),
        (r"\overline{AB} \perp \overline{CD}", "A\u{305}B\u{305} ⊥ C\u{305}D\u{305}"),
        (r"p \implies q \iff \neg q \implies \neg p", "p ⟹ q ⟺ ¬q ⟹ ¬p"),
    ];
    let wrong: Vec<_> = formulas
        .iter()
        .filter(|(tex, expected)| on_a_line(tex) != *expected)
        .map(|(tex, expected)| (tex, expected, on_a_line(tex)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_known_stays_as_it_is_written() {
    for tex in [
        r"\unknowncommand{x}",
        r"\frac{1",
        r"{x",
        r"x}",
        r"\begin{tikzpicture}\end{tikzpicture}",
        r"\left( x",
        "x^",
        "x^a^b",
        r"\text{$x$}",
    ] {
        assert_eq!(inline(&written(tex), &Theme::plain()), None, "{tex}");
    }
    assert_eq!(inline(&written("x^2"), &Theme { ascii: true, ..Theme::plain() }), None);
    assert_eq!(on_lines(r"\foo{x}"), r"  $\foo{x}$");
}

#[test]
fn a_fraction_on_lines_of_its_own_has_a_bar() {
    let expected = "       −b ± √(b² − 4ac)\n  x = ──────────────────\n              2a";
    assert_eq!(on_lines(r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}"), expected);
}

#[test]
fn limits_stand_above_and_below() {
    let expected = "    n        n(n + 1)\n    ∑   i = ──────────\n  i = 1         2";
    assert_eq!(on_lines(r"\sum_{i=1}^{n} i = \frac{n(n+1)}{2}"), expected);
}

#[test]
fn matrices_and_cases_are_as_high_as_their_rows() {
    assert_eq!(on_lines(r"\begin{bmatrix} 1 & 0 \\ 0 & 10 \end{bmatrix}^T"), "  ⎡ 1  0  ⎤ᵀ\n  ⎣ 0  10 ⎦");
    let cases = r"|x| = \begin{cases} x & \text{if } x \ge 0 \\ -x & \text{otherwise} \end{cases}";
    assert_eq!(on_lines(cases), "  |x| = ⎧ x   if x ≥ 0\n        ⎩ −x  otherwise");
}

#[test]
fn equations_below_one_another_are_aligned() {
    let expected = "  (a + b)² = a² + 2ab + b²\n         c = d";
    assert_eq!(on_lines(r"\begin{aligned} (a+b)^2 &= a^2 + 2ab + b^2 \\ c &= d \end{aligned}"), expected);
    assert_eq!(on_lines("a &= b \\\\\nab &= c"), "   a = b\n  ab = c");
}

#[test]
fn a_box_is_drawn_round_a_result() {
    assert_eq!(on_lines(r"\boxed{x = 4}"), "  ┌───────┐\n  │ x = 4 │\n  └───────┘");
}

proptest! {
    #[test]
    fn nothing_makes_a_formula_wider_than_the_screen_or_fail(
        parts in proptest::collection::vec(proptest::sample::select(&[
            "x", "1", "^", "_", "{", "}", r"\frac", r"\sqrt", r"\sum", r"\left(", r"\right)", r"\begin{matrix}", r"\end{matrix}", "&", r"\\",
            r"\alpha", r"\text{a b}", "+", "=", " ", "[", "]", r"\boxed", r"\hat", "'", r"\mathbb", "字", r"\overset", r"\lim", r"\begin{cases}",
            r"\end{cases}", r"\substack", "%", "\n", r"\",
        ][..]), 0..16),
        width in 0usize..40,
    ) {
        let formula = written(&parts.concat());
        inline(&formula, &Theme::plain());
        for row in display_rows(&formula, width, &Theme::plain()) {
            let columns = crate::ui::markdown::wrap::row_width(&row);
            prop_assert!(columns <= width.max(2), "{columns} {row:?}");
        }
    }
}
