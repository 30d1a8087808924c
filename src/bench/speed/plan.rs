//! What is timed, as lists: pure. An item is timed as often as there are rounds; the items of a block are compared, so
//! they are timed in turn, forwards and backwards, and written down together.

use serde::Serialize;

use crate::hardware::cores::{CoreSet, Cores, Cpu, Crew, Crews};

/// A prompt, an answer, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Unique among those of a model: what pairs a prompt's record with its answer's.
    pub name: String,
    /// What somebody would want with it: `short-qa`.
    pub task: Option<&'static str>,
    /// `big`, `little`, `all`, or as they were asked for; `None` for those that a chat has.
    pub cores: Option<String>,
    /// Who computes, if others than those of a chat.
    pub crews: Option<Crews>,
    /// Tokens before what is timed.
    pub depth: u32,
    /// Tokens of the prompt; 0 if it is not timed.
    pub prompt: u32,
    /// Tokens that are written one by one; 0 if they are not timed.
    pub written: u32,
    /// The answer comes behind the prompt, as in a chat; else it stands where the prompt does, as with llama-bench.
    pub answers: bool,
}

impl Item {
    /// The most cells that it needs.
    pub fn cells(&self) -> u32 {
        let timed = if self.answers { self.prompt + self.written } else { self.prompt.max(self.written) };
        // A first token is not timed.
        self.depth.saturating_add(timed + 1)
    }

    /// Tokens before the answer.
    pub fn answer_depth(&self) -> u32 {
        if self.answers { self.depth + self.prompt } else { self.depth }
    }
}

/// Items that are compared.
pub type Block = Vec<Item>;

/// What is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Quick,
    Depth,
    Threads,
    Sbc,
    Quant,
}

/// A question and its answer, in tokens.
struct Task {
    name: &'static str,
    depth: u32,
    prompt: u32,
    written: u32,
}

/// The prompt types of the board study, and a turn of a chat that is under way.
const TASKS: [Task; 5] = [
    Task { name: "short-qa", depth: 0, prompt: 32, written: 128 },
    Task { name: "explain", depth: 0, prompt: 64, written: 256 },
    Task { name: "summarise", depth: 0, prompt: 1024, written: 128 },
    Task { name: "code-edit", depth: 0, prompt: 768, written: 512 },
    Task { name: "chat-turn", depth: 2048, prompt: 64, written: 128 },
];

/// Cores that were asked for, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSet {
    pub name: String,
    pub cores: CoreSet,
}

impl NamedSet {
    fn crews(&self) -> Crews {
        Crews::both(Crew { threads: self.cores.len() as u32, cores: self.cores })
    }
}

/// The blocks of a kind of list, for a machine. `depths` counts for `quick` and `depth` only.
pub fn blocks(kind: Kind, prompt: u32, written: u32, depths: &[u32], cpu: &Cpu) -> Vec<Block> {
    blocks_on(&[], kind, prompt, written, depths, cpu)
}

/// The same, with these sets of cores to compare instead of those that the machine has by itself. They count for `threads`
/// and `sbc` only.
pub fn blocks_on(sets: &[NamedSet], kind: Kind, prompt: u32, written: u32, depths: &[u32], cpu: &Cpu) -> Vec<Block> {
    let at = |depth: u32| Item {
        name: format!("d{depth}"),
        task: None,
        cores: None,
        crews: None,
        depth,
        prompt,
        written,
        answers: false,
    };
    match kind {
        Kind::Quick | Kind::Depth => depths.iter().map(|&depth| vec![at(depth)]).collect(),
        Kind::Quant => vec![vec![at(0)]],
        Kind::Threads => {
            let of = |(name, crew): &(Option<String>, Crew), prompt, written| Item {
                name: match name {
                    Some(name) => format!("{} threads on {name}", crew.threads),
                    None => format!("{} threads", crew.threads),
                },
                cores: name.clone(),
                crews: Some(Crews::both(*crew)),
                prompt,
                written,
                ..at(0)
            };
            let crews = crews_to_count(sets, cpu);
            vec![
                crews.iter().map(|crew| of(crew, 0, written)).collect(),
                crews.iter().map(|crew| of(crew, prompt, 0)).collect(),
            ]
        }
        Kind::Sbc => {
            let asked = |set: &NamedSet| (Some(set.name.clone()), Some(set.crews()));
            let sets = if sets.is_empty() { core_sets(cpu) } else { sets.iter().map(asked).collect() };
            let of = |task: &Task, (cores, crews): &(Option<String>, Option<Crews>)| Item {
                name: cores.as_ref().map_or_else(|| task.name.to_owned(), |cores| format!("{} {cores}", task.name)),
                task: Some(task.name),
                cores: cores.clone(),
                crews: *crews,
                depth: task.depth,
                prompt: task.prompt,
                written: task.written,
                answers: true,
            };
            TASKS.iter().map(|task| sets.iter().map(|set| of(task, set)).collect()).collect()
        }
    }
}

/// Who computes in the suite `threads`, and on which of the sets that were asked for.
fn crews_to_count(sets: &[NamedSet], cpu: &Cpu) -> Vec<(Option<String>, Crew)> {
    let all = match cpu.allowed().len() {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        cores => cores,
    };
    let counts = |all: usize| thread_counts(u32::try_from(all).unwrap_or(u32::MAX), cpu.quota);
    if sets.is_empty() {
        return counts(all).into_iter().map(|threads| (None, cpu.crew(threads))).collect();
    }
    let of_set = |set: &NamedSet| {
        let (name, cores) = (set.name.clone(), set.cores);
        counts(cores.len()).into_iter().map(move |threads| (Some(name.clone()), Crew { threads, cores }))
    };
    sets.iter().flat_map(of_set).collect()
}

/// 1 to all, each; of many only some.
fn thread_counts(all: u32, quota: Option<f64>) -> Vec<u32> {
    const EACH: u32 = 8;
    let most = quota.map_or(all, |quota| all.min(quota.ceil().max(1.0) as u32));
    let doubled = std::iter::successors(Some(EACH), |threads| threads.checked_mul(2));
    let mut counts: Vec<u32> = (1..=most.min(EACH)).chain(doubled.take_while(|threads| *threads < most)).collect();
    counts.push(most);
    counts.dedup();
    counts
}

/// The fast cores, the slow ones and both, where there are such; else those that a chat has.
fn core_sets(cpu: &Cpu) -> Vec<(Option<String>, Option<Crews>)> {
    let set = |(name, wish): (&str, Cores)| {
        let cores = cpu.meant(&wish).ok()?;
        let set = NamedSet { name: name.to_owned(), cores };
        Some((Some(set.name.clone()), Some(set.crews())))
    };
    let sets = [("big", Cores::Fast), ("little", Cores::Slow), ("all", Cores::All)].map(set);
    // Where one is missing, all cores are alike.
    let sets: Option<Vec<_>> = sets.into_iter().collect();
    sets.unwrap_or_else(|| vec![(None, None)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::cores::{Core, FULL_CAPACITY};

    /// So many slow cores, then so many fast ones.
    fn cpu(slow: usize, fast: usize) -> Cpu {
        let capacity = |number| if number < slow { 414 } else { FULL_CAPACITY };
        let core = |number| Core {
            number,
            capacity: capacity(number),
            siblings: [number].into_iter().collect(),
            kind: None,
            is_allowed: true,
        };
        Cpu { cores: (0..slow + fast).map(core).collect(), pins: true, ..Cpu::default() }
    }

    #[test]
    fn a_board_of_two_kinds_of_cores_has_each_task_on_both_and_on_all() {
        let blocks = blocks(Kind::Sbc, 0, 0, &[], &cpu(4, 4));
        assert_eq!(blocks.len(), TASKS.len());
        let names: Vec<&str> = blocks[0].iter().map(|item| item.name.as_str()).collect();
        assert_eq!(names, ["short-qa big", "short-qa little", "short-qa all"]);
        let crews = blocks[0].iter().map(|item| item.crews.unwrap().decode);
        assert_eq!(crews.map(|crew| crew.cores.to_string()).collect::<Vec<_>>(), ["4-7", "0-3", "0-7"]);
        let turn = &blocks[4][0];
        assert_eq!((turn.depth, turn.answer_depth(), turn.cells()), (2048, 2112, 2048 + 64 + 128 + 1));
    }

    #[test]
    fn a_machine_of_equal_cores_has_each_task_once() {
        let blocks = blocks(Kind::Sbc, 0, 0, &[], &cpu(0, 4));
        assert!(blocks.iter().all(|block| block.len() == 1 && block[0].crews.is_none()));
    }

    #[test]
    fn threads_are_tried_from_one_to_all_for_answers_and_for_prompts_apart() {
        let blocks = blocks(Kind::Threads, 128, 32, &[], &cpu(0, 4));
        let threads = |block: &Block| block.iter().map(|item| item.crews.unwrap().decode.threads).collect::<Vec<_>>();
        assert_eq!((threads(&blocks[0]), threads(&blocks[1])), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
        assert!(blocks[0].iter().all(|item| item.prompt == 0 && item.written == 32));
        assert!(blocks[1].iter().all(|item| item.prompt == 128 && item.written == 0));
        assert_eq!(thread_counts(20, None), [1, 2, 3, 4, 5, 6, 7, 8, 16, 20]);
        assert_eq!(thread_counts(1, None), [1]);
        assert_eq!(thread_counts(4, Some(1.5)), [1, 2]);
    }

    #[test]
    fn sets_of_cores_that_were_asked_for_are_compared() {
        let set = |name: &str, cores: &str| NamedSet { name: name.into(), cores: CoreSet::parse(cores).unwrap() };
        let sets = [set("fast", "4-7"), set("0,2", "0,2")];
        let names = |blocks: &[Block]| blocks[0].iter().map(|item| item.name.clone()).collect::<Vec<_>>();
        let tasks = blocks_on(&sets, Kind::Sbc, 0, 0, &[], &cpu(4, 4));
        assert_eq!(names(&tasks), ["short-qa fast", "short-qa 0,2"]);
        assert_eq!(tasks[0][1].crews.unwrap().decode, Crew { threads: 2, cores: CoreSet::parse("0,2").unwrap() });
        let threads = blocks_on(&sets[1..], Kind::Threads, 128, 32, &[], &cpu(4, 4));
        assert_eq!(names(&threads), ["1 threads on 0,2", "2 threads on 0,2"]);
        assert_eq!(threads[0][0].crews.unwrap().decode, Crew { threads: 1, cores: CoreSet::parse("0,2").unwrap() });
    }

    #[test]
    fn depths_are_a_block_each_so_that_each_is_written_down_when_it_is_done() {
        let blocks = blocks(Kind::Depth, 128, 32, &[0, 4096], &cpu(0, 2));
        assert_eq!(blocks.iter().map(|block| block[0].name.as_str()).collect::<Vec<_>>(), ["d0", "d4096"]);
        assert_eq!(blocks[1][0].cells(), 4096 + 128 + 1);
    }
}
