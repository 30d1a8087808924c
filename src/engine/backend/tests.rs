use super::*;
use crate::hardware::gpus::Maker;
use crate::models::fit::Layer;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn device(index: usize, backend: &str, kind: DeviceKind, free: u64, total: u64) -> Device {
    Device {
        index,
        name: format!("{backend}{index}"),
        backend: backend.into(),
        description: format!("{backend} number {index}"),
        kind,
        free_bytes: free,
        total_bytes: total,
    }
}

fn cpu_device() -> Device {
    Device { description: "Cortex-A76".into(), ..device(0, "CPU", DeviceKind::Cpu, 0, 0) }
}

fn card(index: usize, backend: &str, free: u64) -> Device {
    device(index, backend, DeviceKind::Discrete, free, 8 * GIB)
}

fn gpu(maker: Maker, is_integrated: bool) -> Gpu {
    Gpu { maker, name: None, address: "0000:01:00.0".into(), is_integrated }
}

/// Of the size of a model with 7 billion weights in 4 bits: 28 layers of 130 MiB, 64 KiB of cache for a token.
fn dense() -> Layers {
    let layer = Layer { shared_bytes: 130 * MIB, expert_bytes: 0, kv_bytes: 65_536 / 28 };
    let layers = vec![layer; 28];
    Layers { layers, output_bytes: 400 * MIB, vocabulary: 152_000, working_numbers: 72_000 }
}

/// Of the size of one with 30 billion, most of them in experts.
fn experts() -> Layers {
    let layer = Layer { shared_bytes: 20 * MIB, expert_bytes: 340 * MIB, kv_bytes: 2048 };
    Layers { layers: vec![layer; 48], ..dense() }
}

fn demand(layers: &Layers) -> Demand<'_> {
    Demand { layers, cells: 16_384, least_cells: 8192, kv_scale: 1.0, is_asked_for: false }
}

struct Machine {
    devices: Vec<Device>,
    gpus: Vec<Gpu>,
    features: Vec<&'static str>,
    problem: Option<String>,
}

fn machine(gpus: Vec<Device>, features: &[&'static str]) -> Machine {
    let devices = [vec![cpu_device()], gpus].concat();
    Machine { devices, gpus: Vec::new(), features: features.to_vec(), problem: None }
}

impl Machine {
    fn with(self, gpus: Vec<Gpu>) -> Self {
        Self { gpus, ..self }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            devices: &self.devices,
            gpus: &self.gpus,
            features: &self.features,
            memory: Some(Memory { total: 32 * GIB, available: 24 * GIB }),
            problem: self.problem.as_deref(),
        }
    }

    fn choose(&self, layers: &Layers, wanted: &str, count: Option<u32>) -> Result<Choice, String> {
        choose(&self.situation(), &demand(layers), &wanted.parse().unwrap(), count)
    }

    fn auto(&self, layers: &Layers) -> Choice {
        self.choose(layers, "auto", None).unwrap()
    }
}

#[test]
fn without_a_gpu_the_cpu_is_chosen_and_the_reason_said() {
    let choice = machine(vec![], &[]).auto(&dense());
    assert_eq!((choice.backend.as_str(), choice.name.as_str()), ("CPU", "Cortex-A76"));
    assert_eq!(choice.placement, Placement::cpu());
    assert!(choice.reason.contains("no GPU") && choice.notice.is_none(), "{choice:?}");
}

#[test]
fn all_layers_go_to_a_gpu_that_has_room_for_them() {
    let choice = machine(vec![card(1, "Vulkan", 8 * GIB)], &["vulkan"]).auto(&dense());
    assert_eq!(choice.placement, Placement { devices: vec![1], gpu_layers: Some(29), ..Placement::default() });
    assert_eq!((choice.cells, choice.is_all_in_own_memory, choice.notice), (Some(16_384), true, None));
    let reason = "Vulkan, all 29 layers: 5.4 GiB of 8.0 GiB of free memory, with the KV cache for 16384 tokens";
    assert_eq!(choice.reason, reason);
}

#[test]
fn with_less_room_the_cache_is_smaller_before_layers_stay_on_the_cpu() {
    let choice = |free| machine(vec![card(1, "CUDA", free)], &["cuda"]).auto(&dense());
    let smaller = choice(5600 * MIB);
    assert_eq!((smaller.placement.gpu_layers, smaller.cells), (Some(29), Some(8192)), "{}", smaller.reason);
    let part = choice(4 * GIB);
    assert_eq!(part.placement.gpu_layers, Some(19), "{}", part.reason);
    assert!(!part.is_all_in_own_memory);
    assert_eq!(part.own_bytes, (18 * 130 + 400) * MIB);
    let reason = "CUDA, 19 of 29 layers: 3.4 GiB of 4.0 GiB of free memory, with the KV cache for 8192 tokens; more does not fit beside the 0.5 GiB left to others";
    assert_eq!(part.reason, reason);
}

#[test]
fn however_much_is_free_no_more_is_taken_and_more_memory_never_means_fewer_layers() {
    for layers in [dense(), experts()] {
        let mut last = 0;
        for free in (0..40).map(|half| half * GIB / 2) {
            let budget = free.saturating_sub(LEAST_MARGIN);
            let plan = plan(&demand(&layers), budget);
            assert!(plan.count == 0 || plan.bytes(&demand(&layers)) <= budget, "{free}: {plan:?}");
            assert!(plan.count >= last, "{free}: {plan:?}");
            last = plan.count;
        }
        assert_eq!(last, layers.count());
    }
}

#[test]
fn where_not_even_one_layer_fits_the_cpu_computes_and_it_is_said() {
    let choice = machine(vec![card(1, "CUDA", 700 * MIB)], &["cuda"]).auto(&dense());
    assert_eq!(choice.backend, "CPU");
    assert!(choice.notice.as_ref().is_some_and(|notice| notice.contains("0.7 GiB of free memory")), "{choice:?}");
}

#[test]
fn of_experts_those_that_do_not_fit_stay_on_the_cpu() {
    let choice = |free| machine(vec![card(1, "CUDA", free)], &["cuda"]).auto(&experts());
    let part = choice(8 * GIB);
    let Placement { gpu_layers, experts_on_cpu, .. } = part.placement;
    assert_eq!(gpu_layers, Some(49));
    assert!((30..48).contains(&experts_on_cpu), "{}", part.reason);
    assert!(part.reason.contains(&format!("the experts of the first {experts_on_cpu} being on the CPU")));
    let all = choice(40 * GIB).placement;
    assert_eq!((all.gpu_layers, all.experts_on_cpu), (Some(49), 0));
    let whole_layers = choice(3 * GIB).placement;
    assert!(whole_layers.gpu_layers < Some(49) && whole_layers.experts_on_cpu == 0, "{whole_layers:?}");
}

#[test]
fn a_number_of_layers_is_taken_as_it_is() {
    let machine = machine(vec![card(1, "Vulkan", GIB)], &["vulkan"]);
    let choice = machine.choose(&dense(), "auto", Some(10)).unwrap();
    assert_eq!(choice.placement.gpu_layers, Some(10));
    assert!(choice.reason.contains("10 of 29 layers") && choice.reason.ends_with("asked for"), "{}", choice.reason);
    assert_eq!(machine.choose(&dense(), "vulkan", Some(99)).unwrap().placement.gpu_layers, Some(29));
}

#[test]
fn asking_for_the_cpu_or_for_no_layers_leaves_the_gpu_alone_without_a_notice() {
    let machine = machine(vec![card(1, "Vulkan", 8 * GIB)], &["vulkan"]).with(vec![gpu(Maker::Amd, false)]);
    for (wanted, count) in [("cpu", None), ("auto", Some(0)), ("vulkan", Some(0))] {
        let choice = machine.choose(&dense(), wanted, count).unwrap();
        assert_eq!((choice.backend.as_str(), choice.notice), ("CPU", None), "{wanted}");
    }
}

#[test]
fn the_best_of_several_is_taken_unless_one_is_named() {
    let integrated = device(1, "Vulkan", DeviceKind::Integrated, 20 * GIB, 24 * GIB);
    let devices = vec![integrated, card(2, "Vulkan", 8 * GIB), card(3, "CUDA", 6 * GIB), card(4, "CUDA", 7 * GIB)];
    let machine = machine(devices, &["cuda", "vulkan"]);
    for (wanted, index) in [("auto", 4), ("cuda", 4), ("cuda:0", 3), ("vulkan", 2), ("vulkan:0", 1), ("vulkan:1", 2)] {
        let choice = machine.choose(&dense(), wanted, None).unwrap();
        assert_eq!(choice.placement.devices, [index], "{wanted}");
    }
    let error = machine.choose(&dense(), "cuda:2", None).unwrap_err();
    assert!(error.contains("`cuda:2`") && error.contains("`cuda:1` (CUDA number 4)"), "{error}");
}

#[test]
fn a_software_driver_is_taken_only_where_it_is_asked_for() {
    let software = device(1, "Vulkan", DeviceKind::Software, 20 * GIB, 24 * GIB);
    let machine = machine(vec![software], &["vulkan"]);
    let auto = machine.auto(&dense());
    assert_eq!((auto.backend.as_str(), auto.notice), ("CPU", None));
    assert!(auto.reason.contains("slower than the CPU"), "{}", auto.reason);
    assert_eq!(machine.choose(&dense(), "vulkan", None).unwrap().backend, "Vulkan");
}

#[test]
fn what_shares_the_memory_has_no_more_than_is_free_in_it() {
    let apple = device(1, "MTL", DeviceKind::Integrated, 40 * GIB, 48 * GIB);
    let machine = machine(vec![apple], &["metal"]);
    let memory = |gibibytes: u64| Some(Memory { total: 64 * GIB, available: gibibytes * GIB });
    let layers_at = |gibibytes| {
        let situation = Situation { memory: memory(gibibytes), ..machine.situation() };
        let choice = choose(&situation, &demand(&dense()), &DeviceChoice::Metal(None), None).unwrap();
        assert!(!choice.is_all_in_own_memory && choice.own_bytes == 0);
        choice.placement.gpu_layers
    };
    assert_eq!(layers_at(24), Some(29));
    assert!(layers_at(3) < Some(29));
}

#[test]
fn a_device_that_does_not_tell_its_memory_is_believed_to_have_the_machines() {
    let silent = device(1, "Vulkan", DeviceKind::Discrete, 0, 0);
    let choice = machine(vec![silent], &["vulkan"]).auto(&dense());
    assert_eq!(choice.placement.gpu_layers, Some(29));
    assert!(choice.reason.contains("of 24.0 GiB"), "{}", choice.reason);
}

#[test]
fn a_back_end_that_is_not_built_in_is_an_error_that_says_how_to_get_it() {
    let error = machine(vec![], &[]).choose(&dense(), "cuda", None).unwrap_err();
    assert!(error.contains("CUDA") && error.contains("--features cuda"), "{error}");
}

#[test]
fn a_gpu_that_the_build_cannot_use_is_told_unless_it_is_integrated() {
    let with = |maker, is_integrated| machine(vec![], &[]).with(vec![gpu(maker, is_integrated)]).auto(&dense());
    let nvidia = with(Maker::Nvidia, false);
    assert!(nvidia.reason.starts_with("there is an NVIDIA GPU, but this build cannot use it"), "{}", nvidia.reason);
    assert!(nvidia.notice.is_some_and(|notice| notice.contains("--features cuda") && notice.contains("--device cpu")));
    let amd = with(Maker::Amd, false);
    assert!(amd.notice.is_some_and(|notice| notice.contains("--features vulkan")));
    let intel = with(Maker::Intel, true);
    assert!(intel.notice.is_none() && intel.reason.contains("--features vulkan"), "{intel:?}");
}

#[test]
fn without_its_driver_the_cpu_computes_and_what_to_install_is_said() {
    let machine = |gpus| machine(vec![], &["vulkan"]).with(gpus);
    let amd = machine(vec![gpu(Maker::Amd, false)]).auto(&dense());
    assert!(amd.notice.is_some_and(|notice| notice.contains("mesa-vulkan-drivers")));
    let asked = machine(vec![]).choose(&dense(), "vulkan", None).unwrap();
    assert_eq!(asked.backend, "CPU");
    assert!(asked.notice.is_some_and(|notice| notice.contains("there is no Vulkan device, so the CPU computes")));
    let nothing = machine(vec![]).auto(&dense());
    assert_eq!((nothing.notice, nothing.reason.as_str()), (None, "there is no GPU"));
}

#[test]
fn a_driver_that_crashed_is_told() {
    let crashed = Machine { problem: Some("the driver crashed".into()), ..machine(vec![], &["vulkan"]) };
    assert_eq!(crashed.auto(&dense()).notice.as_deref(), Some("the driver crashed"));
}

#[test]
fn what_does_not_load_is_tried_with_less_and_then_on_the_cpu() {
    let machine = machine(vec![card(1, "CUDA", 8 * GIB)], &["cuda"]);
    let (dense, experts) = (dense(), experts());
    let half = fewer(&machine.auto(&dense), &dense).unwrap();
    assert_eq!(half.placement.gpu_layers, Some(14));
    assert!(half.notice.is_some_and(|notice| notice.contains("14 of 29 layers")));
    let without = fewer(&machine.auto(&experts), &experts).unwrap();
    assert_eq!((without.placement.gpu_layers, without.placement.experts_on_cpu), (Some(49), 48));
    let one = machine.choose(&dense, "cuda", Some(1)).unwrap();
    assert_eq!(fewer(&one, &dense), None);
    let cpu = instead(&one, &machine.devices, "could not load the model", "close what else uses it");
    assert_eq!((cpu.backend.as_str(), cpu.placement), ("CPU", Placement::cpu()));
    assert!(cpu.notice.is_some_and(|notice| notice.starts_with("CUDA (CUDA number 1) could not load the model")));
}

fn servers(free: [u64; 2]) -> Machine {
    let server = |index: usize, free| Device {
        description: format!("board{index}:50052"),
        ..device(index, "RPC", DeviceKind::Discrete, free, 8 * GIB)
    };
    machine(vec![card(1, "Vulkan", 6 * GIB), server(2, free[0]), server(3, free[1])], &["vulkan"])
}

#[test]
fn servers_share_the_layers_with_a_warning() {
    let choice = servers([3 * GIB, 4 * GIB]).choose(&dense(), "rpc:board2:50052,rpc:board3:50052", None).unwrap();
    assert_eq!((choice.placement.devices.as_slice(), choice.placement.gpu_layers), (&[2, 3][..], Some(29)));
    assert_eq!((choice.backend.as_str(), choice.name.as_str()), ("RPC", "board2:50052, board3:50052"));
    assert!(choice.is_all_in_own_memory);
    let notice = choice.notice.unwrap();
    assert!(notice.contains("board2:50052, board3:50052") && notice.contains("encrypts nothing"), "{notice}");
}

#[test]
fn the_cpu_has_what_servers_have_no_room_for() {
    let choice = servers([2 * GIB, GIB]).choose(&dense(), "rpc:board2:50052,board3:50052", None).unwrap();
    let layers = choice.placement.gpu_layers.unwrap();
    assert!((1..29).contains(&layers), "{layers}");
    let none = servers([0, 0]).choose(&dense(), "rpc:board2:50052,board3:50052", None).unwrap();
    assert_eq!(none.backend, "CPU");
    assert!(none.notice.unwrap().contains("not enough for any of the model's layers"));
}

#[test]
fn servers_are_used_only_where_they_were_asked_for() {
    assert_eq!(servers([7 * GIB, 7 * GIB]).auto(&dense()).backend, "Vulkan");
    let error = machine(vec![], &[]).choose(&dense(), "rpc:board2:50052", None).unwrap_err();
    assert!(error.contains("no device at board2:50052"), "{error}");
    let cpu = servers([7 * GIB, 7 * GIB]).choose(&dense(), "rpc:board2:50052", Some(0)).unwrap();
    assert_eq!(cpu.backend, "CPU");
}
