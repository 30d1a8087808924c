//! A run for the terminal, where its suite has no tables of its own.

use super::facts::{self, Trust, Verdict};
use super::sections::{self, Section};
use crate::bench::record::Run;
use crate::bench::table::Table;

pub fn render(run: &Run) -> String {
    let mut text = String::new();
    let all = sections::of(run);
    for section in &all {
        if all.len() > 1 {
            text += &format!("\n{}\n", section.title);
        }
        let (alike, section) = section.folded();
        if !alike.is_empty() {
            text += &format!("{alike}\n");
        }
        text += &table(&section);
    }
    let Verdict { trust, sentence, doubts } = facts::verdict(run);
    text += &format!("{sentence}\n");
    let words = if trust == Trust::Valid { "note" } else { "not to be trusted" };
    doubts.iter().for_each(|doubt| text += &format!("{words}: {doubt}\n"));
    text
}

pub fn table(section: &Section) -> String {
    let mut table = Table::new(section.columns.iter().map(|column| column.heading.as_str()));
    section.rows.iter().for_each(|row| table.push(row.clone()));
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    #[test]
    fn a_run_is_its_table_and_whether_to_trust_it() {
        let mut run = examples::depth();
        let end = run.end.as_mut().unwrap();
        (end.valid, end.doubts) = (false, vec!["it was hot".into()]);
        insta::assert_snapshot!(render(&run));
    }
}
