//! In which order results are written. Pure.

use std::collections::BTreeMap;

/// Gives results out in the order of their items, or as they come.
#[derive(Debug, Default)]
pub struct Order {
    as_done: bool,
    /// The first item whose result was not given out.
    next: usize,
    held: BTreeMap<usize, String>,
}

impl Order {
    pub fn new(as_done: bool) -> Self {
        Self { as_done, ..Self::default() }
    }

    /// The result of an item is there: those that may be written now.
    pub fn done(&mut self, item: usize, result: String) -> Vec<String> {
        if self.as_done {
            return vec![result];
        }
        self.held.insert(item, result);
        let mut ready = Vec::new();
        while let Some(result) = self.held.remove(&self.next) {
            ready.push(result);
            self.next += 1;
        }
        ready
    }

    /// No more will come: those that waited for an earlier one.
    pub fn rest(self) -> impl Iterator<Item = String> {
        self.held.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn done(order: &mut Order, items: &[usize]) -> Vec<Vec<String>> {
        items.iter().map(|item| order.done(*item, item.to_string())).collect()
    }

    #[test]
    fn a_result_waits_for_those_of_earlier_items() {
        let mut order = Order::new(false);
        assert_eq!(done(&mut order, &[1, 2, 0, 4]), [vec![], vec![], vec!["0", "1", "2"], vec![]]);
        assert_eq!(order.rest().collect::<Vec<_>>(), ["4"]);
    }

    #[test]
    fn as_done_nothing_waits() {
        let mut order = Order::new(true);
        assert_eq!(done(&mut order, &[1, 0]), [["1"], ["0"]]);
        assert_eq!(order.rest().count(), 0);
    }

    proptest! {
        #[test]
        fn whatever_the_order_each_result_is_written_once(
            items in Just((0..20usize).collect::<Vec<_>>()).prop_shuffle(), as_done: bool,
        ) {
            let mut order = Order::new(as_done);
            let mut written = done(&mut order, &items).concat();
            prop_assert_eq!(order.rest().count(), 0);
            let expected: Vec<String> = (0..20).map(|item: usize| item.to_string()).collect();
            prop_assert!(as_done || written == expected);
            written.sort_by_key(|item| item.parse::<usize>().unwrap());
            prop_assert_eq!(written, expected);
        }
    }
}
