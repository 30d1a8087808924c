//! Processes on Unix.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};

/// The editor of those who chose none.
pub const USUAL_EDITOR: &str = "vi";
/// What a shell answers that does not find a program.
pub const NOT_THERE: i32 = 127;

/// How a process crashed, if it did: `signal 11`.
pub fn crash(status: ExitStatus) -> Option<String> {
    status.signal().map(|signal| format!("signal {signal}"))
}

/// Runs a line as the shell would.
pub fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

/// The same for a line behind which a file belongs.
pub fn shell_with_file(line: &str, file: &Path) -> Command {
    let mut command = shell(&format!("{line} \"$1\""));
    command.arg("sh").arg(file);
    command
}

/// Lets a command be ended with all that it starts, by [`end_with_children`].
pub fn lead(command: &mut Command) -> &mut Command {
    command.process_group(0)
}

/// Ends a process that leads, and what it has started.
pub fn end_with_children(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// This process gets no more than so many bytes of memory and so much of the processor, and leaves no core behind. A
/// system that has no such limits goes on all the same.
pub fn limit(memory_bytes: u64, time: Duration) {
    let limits = [(Resource::As, memory_bytes), (Resource::Cpu, time.as_secs()), (Resource::Core, 0)];
    for (resource, most) in limits {
        let _ = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    }
}

/// Bytes of a page of memory.
pub fn page_bytes() -> u64 {
    rustix::param::page_size() as u64
}
